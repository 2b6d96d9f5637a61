// SPDX-License-Identifier: Apache-2.0
// A descriptor watched by the event loop of a Node environment.
#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <string>

// Owns the libuv handle, not the descriptor, which must stay open until Close().
// While open it keeps the process alive, unless Unref() was called.
class Poll {
 public:
  // `ready` runs on the loop thread inside a HandleScope and a callback scope,
  // so promises and ticks queued by JavaScript that it calls are drained.
  // A JavaScript exception that it lets through becomes an uncaughtException.
  // It may call Close() and even destroy this Poll.
  using Ready = std::function<void(int status, int events)>;

  Poll(Napi::Env env, int fd, const char* resource_name, Ready ready);
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  ~Poll() { Close(); }

  // events: UV_READABLE | UV_WRITABLE.
  void Start(int events);
  void Stop();
  void Ref();
  void Unref();
  // Idempotent; no `ready` after it returns.
  void Close();

 private:
  struct State;
  State* state_;
};
