// SPDX-License-Identifier: Apache-2.0
// Operations on a program's descriptor.
#include <bpf/bpf.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "arguments.h"
#include "handle.h"
#include "status.h"

namespace {

std::string Hex(const uint8_t* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; i++) {
    char digits[3];
    snprintf(digits, sizeof digits, "%02x", bytes[i]);
    text += digits;
  }
  return text;
}

// programInfo(fd)
Napi::Value Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_prog_info program{};
  uint32_t size = sizeof program;
  if (bpf_obj_get_info_by_fd(IntOf(info[0]), &program, &size) < 0) {
    ThrowSystemError(env, "bpf_obj_get_info_by_fd", errno, "program");
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", program.id);
  result.Set("type", program.type);
  result.Set("name", std::string(program.name));
  result.Set("tag", Hex(program.tag, sizeof program.tag));
  result.Set("jitedBytes", program.jited_prog_len);
  result.Set("xlatedBytes", program.xlated_prog_len);
  result.Set("btfId", program.btf_id);
  return result;
}

// programTestRun(fd, data, dataOut, context, contextOut, repeat, flags, batchSize):
//   {status, returnValue, dataSize, contextSize, durationNs}; buffers may be undefined
Napi::Value TestRun(const Napi::CallbackInfo& info) {
  Bytes data = BytesOf(info[1]);
  Bytes data_out = BytesOf(info[2]);
  Bytes context = BytesOf(info[3]);
  Bytes context_out = BytesOf(info[4]);
  LIBBPF_OPTS(bpf_test_run_opts, run);
  run.data_in = data.data;
  run.data_size_in = static_cast<uint32_t>(data.size);
  run.data_out = data_out.data;
  run.data_size_out = static_cast<uint32_t>(data_out.size);
  run.ctx_in = context.data;
  run.ctx_size_in = static_cast<uint32_t>(context.size);
  run.ctx_out = context_out.data;
  run.ctx_size_out = static_cast<uint32_t>(context_out.size);
  run.repeat = IntOf(info[5]);
  run.flags = UintOf(info[6]);
  run.batch_size = UintOf(info[7]);
  int result = bpf_prog_test_run_opts(IntOf(info[0]), &run);
  int error = errno;

  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("status", result < 0 ? -error : 0);
  object.Set("returnValue", run.retval);
  object.Set("dataSize", run.data_size_out);
  object.Set("contextSize", run.ctx_size_out);
  object.Set("durationNs", run.duration);
  return object;
}

}  // namespace

void RegisterProgram(Napi::Env env, Napi::Object exports) {
  exports.Set("programInfo", Napi::Function::New<Info>(env, "programInfo"));
  exports.Set("programTestRun", Napi::Function::New<TestRun>(env, "programTestRun"));
}
