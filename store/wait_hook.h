// What a thread does when it is about to wait for the value of a pending object.
//
// A program that runs work on few threads, as a runtime of tasks does, has to know when one of them
// stops to wait: it can let another go on in its place, or do on the spot what is waited for. Its
// threads say so by a hook:
//
//     SetWaitHook(&hook);       // this thread's
//     ...ref.Get()...           // pending: hook.BeforeWait(...), the wait, hook.AfterWait()
//     SetWaitHook(nullptr);
#ifndef SPILLWAY_STORE_WAIT_HOOK_H_
#define SPILLWAY_STORE_WAIT_HOOK_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
namespace spillway {

// Thread-safety: a hook is called by the thread that set it.
class WaitHook {
 public:
  virtual ~WaitHook() = default;

  // This thread is about to wait until `count` of the objects, named by AnyRef::key(), are ready;
  // without a deadline if `unbounded`. `ready` tells whether they are. May take its time, and may
  // make them ready. If it returns an error, there is no wait, and who asked for the value gets the
  // error.
  virtual absl::Status BeforeWait(absl::Span<const void* const> keys, size_t count, bool unbounded,
                                  absl::FunctionRef<bool()> ready) = 0;

  // The wait, if there was one, is over. Comes once after each BeforeWait that returned OK.
  virtual void AfterWait() = 0;
};

// The calling thread's hook from now on, null for none. Returns the one before. The hook must
// outlive its time.
WaitHook* SetWaitHook(WaitHook* hook);
WaitHook* CurrentWaitHook();

}  // namespace spillway

#endif  // SPILLWAY_STORE_WAIT_HOOK_H_
