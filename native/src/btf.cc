// SPDX-License-Identifier: Apache-2.0
// Type information that the kernel holds; lib/btf.ts reads its bytes.
#include <bpf/bpf.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "fd.h"
#include "status.h"

namespace {

// btfBytes(id): Buffer
Napi::Value BtfBytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t id = UintOf(info[0]);
  Fd fd(bpf_btf_get_fd_by_id(id));
  if (!fd.IsOpen()) {
    ThrowSystemError(env, "bpf_btf_get_fd_by_id", errno, "BTF id " + std::to_string(id));
  }
  // First the size, then the bytes.
  bpf_btf_info btf{};
  uint32_t size = sizeof btf;
  if (bpf_obj_get_info_by_fd(fd.Get(), &btf, &size) < 0) {
    ThrowSystemError(env, "bpf_obj_get_info_by_fd", errno, "BTF");
  }
  auto bytes = Napi::Buffer<uint8_t>::New(env, btf.btf_size);
  bpf_btf_info filled{};
  filled.btf = reinterpret_cast<uintptr_t>(bytes.Data());
  filled.btf_size = btf.btf_size;
  size = sizeof filled;
  if (bpf_obj_get_info_by_fd(fd.Get(), &filled, &size) < 0) {
    ThrowSystemError(env, "bpf_obj_get_info_by_fd", errno, "BTF");
  }
  return bytes;
}

}  // namespace

void RegisterBtf(Napi::Env env, Napi::Object exports) {
  exports.Set("btfBytes", Napi::Function::New<BtfBytes>(env, "btfBytes"));
}
