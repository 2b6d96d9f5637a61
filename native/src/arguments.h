// SPDX-License-Identifier: Apache-2.0
// Reading arguments. Their types are guaranteed by lib/*.ts, the only caller.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// The memory of a Buffer; {nullptr, 0} of undefined.
inline Bytes BytesOf(const Napi::Value& value) {
  if (!value.IsBuffer()) {
    return {};
  }
  auto buffer = value.As<Napi::Buffer<uint8_t>>();
  return {buffer.Data(), buffer.Length()};
}

inline int IntOf(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

inline uint32_t UintOf(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

inline std::string StringOf(const Napi::Value& value) {
  return value.As<Napi::String>().Utf8Value();
}

// The result of a system call as JavaScript takes it: 0, or -errno.
inline Napi::Value Status(Napi::Env env, int result, int error) {
  return Napi::Number::New(env, result < 0 ? -error : result);
}
