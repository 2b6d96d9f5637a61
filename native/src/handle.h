// SPDX-License-Identifier: Apache-2.0
// A descriptor that JavaScript owns.
#pragma once

#include <napi.h>

#include <string>

#include "fd.h"

// JavaScript sees {fd, close()}. `fd` is -1 once closed, so that a late use
// fails with EBADF and never reaches a descriptor that has since been reused.
// The garbage collector closes what nobody closed.
class Handle : public Napi::ObjectWrap<Handle> {
 public:
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {}

  static Napi::Object New(Napi::Env env, Fd fd);

 private:
  friend void RegisterHandle(Napi::Env env, Napi::Object exports);
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Fd fd_;
};

void RegisterHandle(Napi::Env env, Napi::Object exports);
