// Promises: objects whose value is still to come.
//
//     Pending<int> sum = store->MakePending<int>().value();
//     std::thread worker([promise = std::move(sum.promise)]() mutable { CHECK_OK(promise.Set(42));
//     }); int value = *sum.ref.Get().value();     // waits
//
// Whoever has the ref can pass it on, wait for it or be called back, and nobody can tell its object
// from others once the promise was kept. A promise that goes unkept fails the object with
// Cancelled.
//
// Thread-safety: a promise belongs to one thread at a time.
#ifndef SPILLWAY_STORE_PROMISE_H_
#define SPILLWAY_STORE_PROMISE_H_

#include <utility>

#include "absl/status/status.h"
#include "serialization/codec.h"
#include "store/internal/entry.h"
#include "store/object_ref.h"

namespace spillway {

// Move-only.
template <typename T>
class Promise {
 public:
  Promise() = default;
  Promise(Promise&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  Promise& operator=(Promise&& other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Promise() {
    if (entry_ != nullptr) Fail(absl::CancelledError("the promise of a value was given up"));
  }

  // Whether it is still to be kept.
  explicit operator bool() const { return entry_ != nullptr; }

  // Stores the value and wakes who waits. Errors as ObjectStore::Put, after which the promise is
  // still to be kept; NotFound if the object was deleted: nobody wants the value.
  // FailedPrecondition if the promise was kept before.
  template <typename V>
  absl::Status Set(const V& value);

  // The object has no value: every get answers `status`, which must not be OK.
  void Fail(absl::Status status);

 private:
  friend class ObjectStore;
  explicit Promise(internal::Entry* entry) : entry_(entry) {}

  internal::Entry* entry_ = nullptr;
};

template <typename T>
struct Pending {
  ObjectRef<T> ref;
  Promise<T> promise;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_PROMISE_H_
