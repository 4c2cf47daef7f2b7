// References: small, counted, owning handles to objects. The last one to go deletes the object.
//
//     ObjectRef<std::vector<double>> ref = store->Put(samples).value();
//     ObjectView<std::vector<double>> view = ref.Get().value();   // *view is a span; no copy
//     std::vector<double> copy = ref.Read().value();
//
// A ref is one pointer wide; copying one is one atomic add. Refs may outlive the store: they then
// answer Unavailable.
//
// Thread-safety: as a shared_ptr. Different refs to one object may be used by different threads;
// one ref must not be assigned to while another thread uses it.
#ifndef SPILLWAY_STORE_OBJECT_REF_H_
#define SPILLWAY_STORE_OBJECT_REF_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serialization/codec.h"
#include "store/internal/handle.h"
#include "store/object_id.h"
#include "store/object_view.h"

namespace spillway {

struct GetOptions;
enum class PolicyHint : uint8_t;
class AnyPromise;
template <typename T>
class ObjectRef;

// A reference to an object of whatever type.
class AnyRef {
 public:
  AnyRef() = default;
  AnyRef(const AnyRef& other);
  AnyRef(AnyRef&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  AnyRef& operator=(AnyRef other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~AnyRef();

  explicit operator bool() const { return entry_ != nullptr; }

  // 0 for an empty ref.
  ObjectId id() const;
  ObjectType type() const;
  uint64_t size_bytes() const;

  // Names the object among all of the process's for as long as somebody has a ref; null for an
  // empty ref.
  const void* key() const { return entry_; }

  // The same object as a T. InvalidArgument if the ref is empty; FailedPrecondition, naming both
  // types, if the object is no T.
  template <typename T>
  absl::StatusOr<ObjectRef<T>> As() const;

  // Whether the object has a value, or an error in place of one: false while it is pending.
  bool ready() const;
  // Whether the bytes are in memory now; they may leave the next moment unless they are pinned.
  bool resident() const;
  // Why a get would fail for good: the error in place of a value, NotFound for what was deleted or
  // dropped and cannot be made again (OnLoss), Unavailable for a closed store, InvalidArgument for
  // an empty ref. OK for a value in memory or on disk, and while the object is pending. Restores
  // nothing.
  absl::Status error() const;
  // Calls back once, when the object is ready: at once on this thread if it is, else on the thread
  // that makes it so, from where the callback may use the store but should not block.
  void OnReady(std::function<void()> callback) const;

  // Who can make the value again, should it be lost: because a droppable object was dropped, or the
  // copy on disk is damaged. The get that finds out makes the object pending, calls back with the
  // reason and a promise of the same type, on its own thread, and waits as for any pending object.
  // The callback should not block; it may keep the promise later, and may be called once for each
  // loss. It replaces an earlier one, an empty one removes it. The store keeps it, and refs that it
  // holds, while the object lives: it must not hold one to the object itself.
  void OnLoss(std::function<void(const absl::Status& why, AnyPromise promise)> callback) const;

  // Tells the eviction policy what the caller knows. A hint holds until the next one.
  void Hint(PolicyHint hint) const;

  // Makes the object durable, as PutOptions::durable does, and what it contains before it; an
  // object whose last name was unbound is kept again. On disk, synced, when it returns OK. Waits
  // for the value of a pending object, and restores a cold one. InvalidArgument: the ref is empty.
  // FailedPrecondition: the store keeps nothing durable. ResourceExhausted: no space on disk before
  // StoreOptions::wait_for_room_max has passed, or no room in memory; the message says which.
  // Internal: it cannot be written at present. Else as ObjectRef<T>::Get.
  absl::Status Persist() const;

  // The bytes as they are stored, pinned. Errors as ObjectRef<T>::Get.
  absl::StatusOr<RawView> GetRaw() const;
  absl::StatusOr<RawView> GetRaw(const GetOptions& options) const;

 private:
  friend class internal::HandleAccess;
  internal::Entry* entry_ = nullptr;
};

template <typename T>
class ObjectRef {
 public:
  ObjectRef() = default;

  explicit operator bool() const { return static_cast<bool>(any_); }
  ObjectId id() const { return any_.id(); }
  uint64_t size_bytes() const { return any_.size_bytes(); }

  // The object's bytes as a T to be read in place, pinned while the view lives. Restores the object
  // if it is cold, which may wait for room.
  // Waits for the value if the object is pending; an object that failed answers its error.
  // NotFound: deleted or dropped. ResourceExhausted: no room before the deadline. DataLoss: the
  // copy on disk is damaged. Internal: it cannot be read at present. Unavailable: the store is
  // closed.
  absl::StatusOr<ObjectView<T>> Get() const;
  absl::StatusOr<ObjectView<T>> Get(const GetOptions& options) const;

  // The value, copied out. Errors as Get.
  absl::StatusOr<T> Read() const;

  bool ready() const { return any_.ready(); }
  void OnReady(std::function<void()> callback) const { any_.OnReady(std::move(callback)); }
  void Hint(PolicyHint hint) const { any_.Hint(hint); }
  absl::Status Persist() const { return any_.Persist(); }

  const AnyRef& any() const { return any_; }

 private:
  friend class internal::HandleAccess;
  explicit ObjectRef(AnyRef any) : any_(std::move(any)) {}
  AnyRef any_;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_OBJECT_REF_H_
