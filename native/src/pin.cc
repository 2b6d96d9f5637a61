// SPDX-License-Identifier: Apache-2.0
// Names of BPF objects in a bpffs.
#include <bpf/bpf.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>

#include "arguments.h"
#include "handle.h"
#include "status.h"

namespace {

constexpr long kBpfFsMagic = 0xcafe4a11;

// "bpf-map", "bpf-prog" or "bpf_link": what the kernel calls the file behind `fd`.
std::string KindOf(int fd) {
  char target[PATH_MAX];
  std::string link = "/proc/self/fd/" + std::to_string(fd);
  ssize_t length = readlink(link.c_str(), target, sizeof target);
  std::string name(target, length > 0 ? static_cast<size_t>(length) : 0);
  size_t colon = name.find(':');
  return colon == std::string::npos ? name : name.substr(colon + 1);
}

// pin(fd, path)
void Pin(const Napi::CallbackInfo& info) {
  std::string path = StringOf(info[1]);
  if (bpf_obj_pin(IntOf(info[0]), path.c_str()) < 0) {
    ThrowSystemError(info.Env(), "bpf_obj_pin", errno, path);
  }
}

// openPin(path, kind): Handle
Napi::Value OpenPin(const Napi::CallbackInfo& info) {
  std::string path = StringOf(info[0]);
  std::string expected = StringOf(info[1]);
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd.IsOpen()) {
    ThrowSystemError(info.Env(), "bpf_obj_get", errno, path);
  }
  std::string kind = KindOf(fd.Get());
  if (kind.find(expected) == std::string::npos) {
    ThrowSystemError(info.Env(), "bpf_obj_get", EINVAL, path + " is a " + kind + ", not a " + expected);
  }
  return Handle::New(info.Env(), std::move(fd));
}

// unpin(path): refuses everything that is not in a bpffs, so that a wrong path
// cannot cost anybody a file.
void Unpin(const Napi::CallbackInfo& info) {
  std::string path = StringOf(info[0]);
  struct statfs filesystem {};
  if (statfs(path.c_str(), &filesystem) < 0) {
    ThrowSystemError(info.Env(), "unlink", errno, path);
  }
  if (static_cast<unsigned long>(filesystem.f_type) != static_cast<unsigned long>(kBpfFsMagic)) {
    ThrowSystemError(info.Env(), "unlink", EINVAL, path + " is not in a bpffs");
  }
  if (unlink(path.c_str()) < 0) {
    ThrowSystemError(info.Env(), "unlink", errno, path);
  }
}

}  // namespace

void RegisterPin(Napi::Env env, Napi::Object exports) {
  exports.Set("pin", Napi::Function::New<Pin>(env, "pin"));
  exports.Set("openPin", Napi::Function::New<OpenPin>(env, "openPin"));
  exports.Set("unpin", Napi::Function::New<Unpin>(env, "unpin"));
}
