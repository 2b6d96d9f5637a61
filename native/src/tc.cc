// SPDX-License-Identifier: Apache-2.0
// Classifiers of the clsact queueing discipline.
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "libbpf_log.h"
#include "status.h"

namespace {

bpf_tc_hook Hook(int ifindex, bool ingress) {
  LIBBPF_OPTS(bpf_tc_hook, hook);
  hook.ifindex = ifindex;
  hook.attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

std::string Where(int ifindex, bool ingress) {
  return std::string(ingress ? "ingress" : "egress") + " of interface " + std::to_string(ifindex);
}

// tcAttach(programFd, ifindex, ingress, priority, handle, replace): {priority, handle, programId}
// Priority and handle 0 let the kernel choose.
Napi::Value Attach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int ifindex = IntOf(info[1]);
  bool ingress = info[2].As<Napi::Boolean>().Value();
  LibbpfLog log;
  bpf_tc_hook hook = Hook(ifindex, ingress);
  int error = bpf_tc_hook_create(&hook);
  // Somebody's clsact is as good as ours.
  if (error < 0 && error != -EEXIST) {
    ThrowSystemError(env, "bpf_tc_hook_create", error, Where(ifindex, ingress), log.Text());
  }
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.prog_fd = IntOf(info[0]);
  options.priority = UintOf(info[3]);
  options.handle = UintOf(info[4]);
  options.flags = info[5].As<Napi::Boolean>().Value() ? BPF_TC_F_REPLACE : 0;
  LibbpfLog attach_log;
  error = bpf_tc_attach(&hook, &options);
  if (error < 0) {
    ThrowSystemError(env, "bpf_tc_attach", error, Where(ifindex, ingress), attach_log.Text());
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("priority", options.priority);
  result.Set("handle", options.handle);
  result.Set("programId", options.prog_id);
  return result;
}

// tcDetach(ifindex, ingress, priority, handle)
void Detach(const Napi::CallbackInfo& info) {
  int ifindex = IntOf(info[0]);
  bool ingress = info[1].As<Napi::Boolean>().Value();
  bpf_tc_hook hook = Hook(ifindex, ingress);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.priority = UintOf(info[2]);
  options.handle = UintOf(info[3]);
  LibbpfLog log;
  int error = bpf_tc_detach(&hook, &options);
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_tc_detach", error, Where(ifindex, ingress), log.Text());
  }
}

}  // namespace

void RegisterTc(Napi::Env env, Napi::Object exports) {
  exports.Set("tcAttach", Napi::Function::New<Attach>(env, "tcAttach"));
  exports.Set("tcDetach", Napi::Function::New<Detach>(env, "tcDetach"));
}
