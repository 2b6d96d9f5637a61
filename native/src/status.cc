// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <cstdlib>

void SetErrorClass(const Napi::CallbackInfo& info) {
  info.Env().GetInstanceData<AddonData>()->system_error =
      Napi::Persistent(info[0].As<Napi::Function>());
}

void ThrowSystemError(Napi::Env env, const char* operation, int error, const std::string& detail,
                      const std::string& log) {
  Napi::HandleScope scope(env);
  Napi::FunctionReference& system_error = env.GetInstanceData<AddonData>()->system_error;
  if (system_error.IsEmpty()) {
    throw Napi::Error::New(env, std::string(operation) + " failed before setErrorClass() was called");
  }
  Napi::Object made = system_error.New({
      Napi::String::New(env, operation),
      Napi::Number::New(env, std::abs(error)),
      Napi::String::New(env, detail),
      Napi::String::New(env, log),
  });
  throw Napi::Error(env, made);
}
