// SPDX-License-Identifier: Apache-2.0
// Exports only. Each file of this folder holds one noun and registers it.
#include <napi.h>

#include "handle.h"
#include "libbpf_log.h"
#include "status.h"

// A part whose file is not linked in is left out.
#define OPTIONAL __attribute__((weak))

OPTIONAL void RegisterPin(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterObject(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterMap(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterProgram(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterLink(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterTc(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterRingBuffer(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterBeacon(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterRepeater(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterBtf(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterRawSocket(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterPacketSocket(Napi::Env env, Napi::Object exports);
OPTIONAL void RegisterNetlinkSocket(Napi::Env env, Napi::Object exports);

static Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  InstallLibbpfLog();
  env.SetInstanceData(new AddonData());
  exports.Set("setErrorClass", Napi::Function::New<SetErrorClass>(env, "setErrorClass"));
  RegisterHandle(env, exports);
  for (auto* register_exports :
       {&RegisterPin, &RegisterObject, &RegisterMap, &RegisterProgram, &RegisterLink, &RegisterTc,
        &RegisterRingBuffer, &RegisterBeacon, &RegisterRepeater, &RegisterBtf, &RegisterRawSocket,
        &RegisterPacketSocket, &RegisterNetlinkSocket}) {
    if (register_exports != nullptr) {
      register_exports(env, exports);
    }
  }
  return exports;
}

NODE_API_MODULE(libbpf_ts, Initialize)
