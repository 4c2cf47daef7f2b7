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

template <typename T>
class Promise;

// The promise of a value of whatever type. Move-only.
class AnyPromise {
 public:
  AnyPromise() = default;
  AnyPromise(AnyPromise&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  AnyPromise& operator=(AnyPromise&& other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~AnyPromise() {
    if (entry_ != nullptr) Fail(absl::CancelledError("the promise of a value was given up"));
  }

  // Whether it is still to be kept.
  explicit operator bool() const { return entry_ != nullptr; }

  // Of the object; 0 if the promise was kept.
  ObjectId id() const;

  // The same promise as one of a T; this one is kept then. InvalidArgument if it was kept before;
  // FailedPrecondition, naming both types, if the object is no T.
  template <typename T>
  absl::StatusOr<Promise<T>> As() &&;

  // The object has no value: every get answers `status`, which must not be OK.
  void Fail(absl::Status status);

 private:
  friend class AnyRef;
  friend class ObjectStore;
  template <typename T>
  friend class Promise;
  explicit AnyPromise(internal::Entry* entry) : entry_(entry) {}

  internal::Entry* entry_ = nullptr;
};

// Move-only.
template <typename T>
class Promise {
 public:
  Promise() = default;

  // Whether it is still to be kept.
  explicit operator bool() const { return static_cast<bool>(any_); }
  ObjectId id() const { return any_.id(); }

  // Stores the value and wakes who waits. The object contains the refs inside the value. Errors as
  // ObjectStore::Put, after which the promise is still to be kept; NotFound if the object was
  // deleted: nobody wants the value.
  // FailedPrecondition if the promise was kept before.
  template <typename V>
  absl::Status Set(const V& value);

  // The object has no value: every get answers `status`, which must not be OK.
  void Fail(absl::Status status) { any_.Fail(std::move(status)); }

 private:
  friend class AnyPromise;
  friend class ObjectStore;
  explicit Promise(AnyPromise any) : any_(std::move(any)) {}

  AnyPromise any_;
};

template <typename T>
struct Pending {
  ObjectRef<T> ref;
  Promise<T> promise;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_PROMISE_H_
