// SPDX-License-Identifier: Apache-2.0
// Attachments that are objects of their own: they last as long as a descriptor
// or a pin refers to them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "handle.h"
#include "status.h"

namespace {

// linkCreateXdp(programFd, ifindex, xdpFlags): Handle
Napi::Value CreateXdp(const Napi::CallbackInfo& info) {
  int ifindex = IntOf(info[1]);
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = UintOf(info[2]);
  Fd fd(bpf_link_create(IntOf(info[0]), ifindex, BPF_XDP, &options));
  if (!fd.IsOpen()) {
    ThrowSystemError(info.Env(), "bpf_link_create", errno,
                     "XDP on interface " + std::to_string(ifindex));
  }
  return Handle::New(info.Env(), std::move(fd));
}

// linkUpdate(linkFd, programFd): replaces the program between two packets
void Update(const Napi::CallbackInfo& info) {
  if (bpf_link_update(IntOf(info[0]), IntOf(info[1]), nullptr) < 0) {
    ThrowSystemError(info.Env(), "bpf_link_update", errno);
  }
}

// linkDetach(linkFd)
void Detach(const Napi::CallbackInfo& info) {
  if (bpf_link_detach(IntOf(info[0])) < 0) {
    ThrowSystemError(info.Env(), "bpf_link_detach", errno);
  }
}

// linkInfo(linkFd)
Napi::Value Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_link_info link{};
  uint32_t size = sizeof link;
  if (bpf_obj_get_info_by_fd(IntOf(info[0]), &link, &size) < 0) {
    ThrowSystemError(env, "bpf_obj_get_info_by_fd", errno, "link");
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", link.id);
  result.Set("type", link.type);
  result.Set("programId", link.prog_id);
  result.Set("ifindex", link.type == BPF_LINK_TYPE_XDP ? link.xdp.ifindex : 0);
  return result;
}

// xdpQuery(ifindex): ids of the attached programs, 0 where there is none
Napi::Value XdpQuery(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int ifindex = IntOf(info[0]);
  // libbpf looks through a dump of all interfaces and is content to find none.
  char name[IF_NAMESIZE];
  if (if_indextoname(static_cast<unsigned>(ifindex), name) == nullptr) {
    ThrowSystemError(env, "bpf_xdp_query", ENODEV, "interface " + std::to_string(ifindex));
  }
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  int error = bpf_xdp_query(ifindex, 0, &query);
  if (error < 0) {
    ThrowSystemError(env, "bpf_xdp_query", error, "interface " + std::to_string(ifindex));
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("native", query.drv_prog_id);
  result.Set("generic", query.skb_prog_id);
  result.Set("hardware", query.hw_prog_id);
  return result;
}

}  // namespace

void RegisterLink(Napi::Env env, Napi::Object exports) {
  exports.Set("linkCreateXdp", Napi::Function::New<CreateXdp>(env, "linkCreateXdp"));
  exports.Set("linkUpdate", Napi::Function::New<Update>(env, "linkUpdate"));
  exports.Set("linkDetach", Napi::Function::New<Detach>(env, "linkDetach"));
  exports.Set("linkInfo", Napi::Function::New<Info>(env, "linkInfo"));
  exports.Set("xdpQuery", Napi::Function::New<XdpQuery>(env, "xdpQuery"));
}
