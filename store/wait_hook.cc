#include "store/wait_hook.h"

#include <utility>

namespace spillway {
namespace {

thread_local constinit WaitHook* current_hook = nullptr;

}  // namespace

WaitHook* SetWaitHook(WaitHook* hook) { return std::exchange(current_hook, hook); }
WaitHook* CurrentWaitHook() { return current_hook; }

}  // namespace spillway
