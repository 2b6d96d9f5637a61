// SPDX-License-Identifier: Apache-2.0
// libbpf explains its failures through a print callback. Nothing of it reaches
// the terminal: it is captured and travels with the error.
#pragma once

#include <string>

// Installs the callback; once per process.
void InstallLibbpfLog();

// Collects what libbpf prints on this thread while it is in scope.
class LibbpfLog {
 public:
  // verbose: debug messages too, which carry the verifier's log of accepted programs.
  explicit LibbpfLog(bool verbose = false);
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;
  ~LibbpfLog();

  const std::string& Text() const { return text_; }

 private:
  friend void InstallLibbpfLog();
  std::string text_;
  bool verbose_;
  LibbpfLog* outer_;
};
