// SPDX-License-Identifier: Apache-2.0
// Brings the datagrams of a non-blocking socket to JavaScript, in bounded batches.
#pragma once

#include <napi.h>
#include <sys/socket.h>

#include <memory>

#include "poll.h"

// Does not own the descriptor, which must stay open until the Receiver is gone.
class Receiver {
 public:
  // on_messages: (messages: {data, ifindex, timestampNs, packetType}[], errno: number) => void
  //   errno      0, or what recvmsg failed with after these messages; EMSGSIZE: a message was too long
  //   timestamp  CLOCK_MONOTONIC of the reception in the kernel (now, without SO_TIMESTAMPNS)
  Receiver(Napi::Env env, int fd, const char* resource_name, Napi::Function on_messages);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  void Ref() { poll_.Ref(); }
  void Unref() { poll_.Unref(); }

 private:
  void OnReady(int status);

  Napi::Env env_;
  int fd_;
  Napi::FunctionReference on_messages_;
  Poll poll_;
};

// Throws a SystemError naming `operation` and `detail` if result < 0.
void ThrowIfFailed(Napi::Env env, int result, const char* operation, const std::string& detail = {});

// setsockopt with a value of any plain type.
template <typename T>
void SetOption(Napi::Env env, int fd, int level, int name, const T& value, const char* what) {
  ThrowIfFailed(env, setsockopt(fd, level, name, &value, sizeof value), "setsockopt", what);
}
