// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

// What libbpf.a's `stderr` was renamed to (binding.gyp says why). libbpf only
// touches it in its default print function, which is never in use here.
extern "C" {
__attribute__((visibility("hidden"))) FILE* libbpf_ts_stderr;
__attribute__((constructor)) static void SetStderr() { libbpf_ts_stderr = stderr; }
}

namespace {

// A verifier log can run to megabytes; its end is what explains the failure.
constexpr size_t kMaxLog = 16 << 20;

thread_local LibbpfLog* current = nullptr;

}  // namespace

LibbpfLog::LibbpfLog(bool verbose) : verbose_(verbose), outer_(current) { current = this; }

LibbpfLog::~LibbpfLog() { current = outer_; }

void InstallLibbpfLog() {
  libbpf_set_print([](enum libbpf_print_level level, const char* format, va_list arguments) -> int {
    if (current == nullptr || (level == LIBBPF_DEBUG && !current->verbose_)) {
      return 0;
    }
    va_list measured;
    va_copy(measured, arguments);
    int length = vsnprintf(nullptr, 0, format, measured);
    va_end(measured);
    if (length <= 0) {
      return 0;
    }
    std::vector<char> line(static_cast<size_t>(length) + 1);
    vsnprintf(line.data(), line.size(), format, arguments);
    // Of the debug messages only the verifier's log is of interest to a user of the library.
    if (level == LIBBPF_DEBUG && strstr(line.data(), " LOG --") == nullptr) {
      return 0;
    }
    current->text_.append(line.data(), static_cast<size_t>(length));
    if (current->text_.size() > kMaxLog) {
      current->text_.erase(0, current->text_.size() - kMaxLog);
    }
    return length;
  });
}
