// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <utility>

#include "status.h"

Napi::Object Handle::New(Napi::Env env, Fd fd) {
  Napi::Object object = env.GetInstanceData<AddonData>()->handle.New({});
  Unwrap(object)->fd_ = std::move(fd);
  return object;
}

Napi::Value Handle::GetFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), fd_.Get());
}

void Handle::Close(const Napi::CallbackInfo&) { fd_.Reset(); }

void RegisterHandle(Napi::Env env, Napi::Object) {
  Napi::Function constructor =
      Handle::DefineClass(env, "Handle",
                          {
                              Handle::InstanceAccessor<&Handle::GetFd>("fd"),
                              Handle::InstanceMethod<&Handle::Close>("close"),
                          });
  env.GetInstanceData<AddonData>()->handle = Napi::Persistent(constructor);
}
