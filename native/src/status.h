// SPDX-License-Identifier: Apache-2.0
// How a failed kernel operation becomes a JavaScript error.
#pragma once

#include <napi.h>

#include <string>

// Per environment (main thread or worker): the class that errors are made of.
struct AddonData {
  Napi::FunctionReference system_error;
  Napi::FunctionReference handle;
};

// Throws a SystemError (lib/errors.ts) {code, errno, operation, log}.
//   operation  the system call or libbpf function, e.g. "bpf_map_update_elem"
//   error      errno; its sign does not matter, libbpf's codes (>= 4000) are understood
//   detail     what was operated on, e.g. a path; may be empty
//   log        what libbpf or the verifier said; may be empty
[[noreturn]] void ThrowSystemError(Napi::Env env, const char* operation, int error,
                                   const std::string& detail = {}, const std::string& log = {});

// `addon.setErrorClass(SystemError)`: called once by lib/binding.ts.
void SetErrorClass(const Napi::CallbackInfo& info);
