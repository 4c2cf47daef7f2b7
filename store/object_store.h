// The object store: a program's immutable objects, larger than its memory, at memory speed.
//
//     StoreOptions options;
//     options.memory_limit_bytes = 4 * kGiB;
//     options.spill_directory = "/var/tmp/app";
//     std::unique_ptr<ObjectStore> store = OpenStore(options).value();    // store/open_store.h
//
//     ObjectRef<std::string> ref = store->Put(std::string("larger than memory")).value();
//     ObjectView<std::string> view = ref.Get().value();                   // *view is a string_view
//
// Objects that do not fit in memory leave for the spill tier, least valuable first, and come back
// when they are asked for. A view pins its object: the bytes stay where they are until it goes.
//
// Thread-safety: every method may be called from any thread at any time; Close and the destructor
// only when no other call is running. Refs and views may outlive the store.
#ifndef SPILLWAY_STORE_OBJECT_STORE_H_
#define SPILLWAY_STORE_OBJECT_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "serialization/codec.h"
#include "spill/spill_backend.h"
#include "store/object_id.h"
#include "store/object_ref.h"
#include "store/object_view.h"
#include "store/options.h"
#include "store/promise.h"
#include "store/stats.h"

namespace spillway {

namespace internal {
class StoreCore;
}

// What is known of an object without touching its bytes.
struct ObjectMetadata {
  ObjectId id;
  ObjectType type;
  std::string type_name;  // empty if this process does not know the type
  uint64_t size_bytes = 0;
  std::string state;  // "Hot", "Clean", "Cold", ...
  absl::Time created;
  absl::Time last_access;  // as coarse as a second
  uint32_t refs = 0;       // the program's and the store's own
  uint32_t pins = 0;       // by views and by Pin
  // Found again after a restart: until Delete, or until its last name is unbound.
  bool durable = false;
  std::vector<std::string> names;  // in byte order
};

// A name, and the object that it is bound to.
struct NamedObject {
  std::string name;
  ObjectId id;
};

// An object under construction: writable memory inside the store. Seal publishes it; dropping the
// builder unsealed gives everything back. Move-only; one thread at a time.
class ObjectBuilder {
 public:
  ObjectBuilder(ObjectBuilder&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  ObjectBuilder& operator=(ObjectBuilder&& other) noexcept;
  ~ObjectBuilder();

  // The object's bytes, 64-byte aligned, contents undefined until written. Empty after Seal.
  absl::Span<char> data() const;

  // Makes the object immutable and visible. FailedPrecondition if it was sealed before; Unavailable
  // if the store was closed meanwhile (the object is then given up).
  absl::StatusOr<ObjectRef<RawBytes>> Seal();

 private:
  friend class ObjectStore;
  explicit ObjectBuilder(internal::Entry* entry) : entry_(entry) {}
  internal::Entry* entry_;
};

// What holds an object.
struct ObjectHolders {
  ObjectId id;
  std::string type_name;
  uint64_t size_bytes = 0;
  std::string state;
  uint32_t refs = 0;                // all of them: the program's, containers' and the store's own
  uint32_t container_refs = 0;      // by objects that contain it
  bool kept = false;                // by PutOptions.keep
  bool durable = false;             // on disk it stays without any of these
  std::vector<std::string> names;   // in byte order
  uint32_t pins = 0;                // by views, builders and promises
  uint32_t explicit_pins = 0;       // by Pin
  std::vector<std::string> labels;  // of views that were given one
};

struct BuildOptions {
  PutOptions put;
  // The size that the buffer will have, as far as it is known.
  uint64_t size_hint_bytes = 1024;
};

class ObjectStore {
 public:
  // Opens a store over `backend`, or a memory-only one if it is null. Most programs call OpenStore.
  // InvalidArgument: ValidateStoreOptions says why. ResourceExhausted: the limit does not even hold
  // what the backend and the tables need.
  static absl::StatusOr<std::unique_ptr<ObjectStore>> Open(const StoreOptions& options,
                                                           std::unique_ptr<SpillBackend> backend);
  ~ObjectStore();
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;

  // Copies `value` into the store, encoded as a StoredType<V> (a string_view becomes a std::string,
  // a span a std::vector). Waits for room, never for I/O of its own. ResourceExhausted: no room
  // before the deadline, or larger than max_object_bytes; the message says which and what holds the
  // memory. InvalidArgument: the codec cannot encode the value, or the options cannot be.
  // AlreadyExists: the name is bound. Unavailable: closed. A put that is to be durable has the
  // errors of AnyRef::Persist besides.
  template <typename V>
  absl::StatusOr<ObjectRef<StoredType<V>>> Put(const V& value, const PutOptions& options = {});

  // The same for a type that is not the argument's own: PutAs<Scene>(builder) of a finished
  // FlatBufferBuilder or a DetachedBuffer.
  template <typename T, typename Source>
  absl::StatusOr<ObjectRef<T>> PutAs(const Source& source, const PutOptions& options = {});

  // Copies bytes of `type` from outside the process into the store: another store's payload, a
  // file's. They are verified once, before the first typed view: DataLoss if they are no such type.
  absl::StatusOr<AnyRef> PutRaw(absl::Span<const char> bytes, const ObjectType& type,
                                const PutOptions& options = {});

  // Builds a FlatBuffer with a T as root directly in store memory:
  // fn(flatbuffers::FlatBufferBuilder&) returns the root's offset and does not finish the buffer.
  // With a hint of its size nothing is copied; a buffer that outgrows its hint moves as in any
  // FlatBufferBuilder, and one far below it moves once. Errors as Put.
  template <typename T, typename Fn>
  absl::StatusOr<ObjectRef<T>> Build(Fn fn, const BuildOptions& options = {});

  // An object whose value is still to come, and the promise of it. Errors as Put.
  template <typename T>
  absl::StatusOr<Pending<T>> MakePending(const PutOptions& options = {});

  // Waits until `count` of the refs are ready, or `timeout` has passed; nothing is restored.
  // Returns for each ref whether it is ready. REQUIRES: count <= refs.size(), no ref is empty.
  std::vector<bool> Wait(absl::Span<const AnyRef> refs, size_t count, absl::Duration timeout) const;

  // Writable memory for an object of `size_bytes` bytes. Errors as Put.
  absl::StatusOr<ObjectBuilder> Create(uint64_t size_bytes, const PutOptions& options = {});

  // A typed ref to the object `id`. NotFound; FailedPrecondition names both types if it is no T.
  template <typename T>
  absl::StatusOr<ObjectRef<T>> Ref(ObjectId id) const;
  absl::StatusOr<AnyRef> Ref(ObjectId id) const;

  // Get by id: as Ref followed by Get.
  template <typename T>
  absl::StatusOr<ObjectView<T>> Get(ObjectId id) const;
  template <typename T>
  absl::StatusOr<ObjectView<T>> Get(ObjectId id, const GetOptions& options) const;
  absl::StatusOr<RawView> GetRaw(ObjectId id, const GetOptions& options = {}) const;

  // Views of many objects, cold ones restored together; as many results as refs, in their order.
  template <typename T>
  std::vector<absl::StatusOr<ObjectView<T>>> GetMany(absl::Span<const ObjectRef<T>> refs,
                                                     const GetOptions& options = {}) const;

  // Get, without a wait: calls back with the view, or with the error that Get has. At once, on this
  // thread, if the bytes are in memory; else on one of two threads that the store has for it, from
  // where the callback may use the store but should not block for long: gets behind it wait. An
  // object that is pending is waited for by nobody's thread. ResourceExhausted, at once, if
  // StoreOptions::async_gets_max wait already; Unavailable when the store is closed. The store
  // keeps the object, and the callback, until it was called.
  template <typename T>
  void GetAsync(
      const ObjectRef<T>& ref,
      std::type_identity_t<std::function<void(absl::StatusOr<ObjectView<T>> view)>> callback,
      const GetOptions& options = {}) const;
  void GetAsync(const AnyRef& ref, std::function<void(absl::StatusOr<RawView> view)> callback,
                const GetOptions& options = {}) const;

  // Begins to restore those of the objects that are cold, in the order in which they lie on disk,
  // and does not wait for it. A hint: objects for which there is no room are left out, and so are
  // those beyond a quarter of the memory limit under way. Returns how many it took on.
  template <typename T>
  size_t Prefetch(absl::Span<const ObjectRef<T>> refs) const;
  size_t Prefetch(absl::Span<const AnyRef> refs) const;

  // The object that the name is bound to, by this process or an earlier one; its bytes are not read
  // yet. While the name changes over from one object to another, one of the two. NotFound;
  // InvalidArgument: no name; FailedPrecondition names both types if it is no T, or says that the
  // store has no names.
  template <typename T>
  absl::StatusOr<ObjectRef<T>> Find(absl::string_view name) const;
  absl::StatusOr<AnyRef> Find(absl::string_view name) const;

  // Makes the object durable and binds the name to it, as one change, synced. AlreadyExists if the
  // name is bound to another object, unless `replace`. An object may have many names. Errors as
  // AnyRef::Persist; InvalidArgument: no name, or an empty ref.
  absl::Status Bind(absl::string_view name, const AnyRef& ref, bool replace = false);

  // Takes the name away, synced. An object without a name is deleted with its last ref, or at the
  // next open if there is one now, unless Persist keeps it. NotFound; otherwise as Bind.
  absl::Status Unbind(absl::string_view name);

  // The names that begin with `prefix` and come after `after`, in byte order, `count` at most: the
  // next page begins after the last name of this one. InvalidArgument if `count` is larger than
  // kNamesPerPageMax.
  static constexpr size_t kNamesPerPageMax = 10000;
  absl::StatusOr<std::vector<NamedObject>> ListNames(absl::string_view prefix = "",
                                                     absl::string_view after = "",
                                                     size_t count = 1000) const;

  bool Exists(ObjectId id) const;
  absl::StatusOr<ObjectMetadata> Metadata(ObjectId id) const;

  // Holds the object in memory until as many Unpins: restores it first if it is cold. Errors as
  // Get.
  absl::Status Pin(ObjectId id);
  // FailedPrecondition without a Pin before; NotFound.
  absl::Status Unpin(ObjectId id);

  // Deletes the object whoever refers to it: refs then answer NotFound, live views stay valid, its
  // names go. A durable object is gone for good when this returns OK; after another error of the
  // spill tier it can be found, and deleted, again. NotFound.
  absl::Status Delete(ObjectId id);

  // Writes everything that is not on disk to the spill tier and waits for it. The first error met.
  absl::Status Flush();

  // Changes the memory limit while running. Lowering it spills and drops until it holds, or says
  // (ResourceExhausted) what pins it; the new limit stays in force either way.
  absl::Status SetMemoryLimit(uint64_t memory_limit_bytes);

  // The limit in force.
  uint64_t memory_limit_bytes() const;

  // Gives touched pages that hold no payload back to the system; how many bytes.
  uint64_t Trim();

  StoreStats Stats() const;

  // Why objects are still here: what holds each, largest first, at most `count` of them. Looks at
  // every entry.
  std::vector<ObjectHolders> Holders(size_t count = 100) const;

  // Ends background work and closes the spill tier. FailedPrecondition, and nothing is closed,
  // while views live or objects are pinned: how many, and which for example. Refs answer
  // Unavailable from then on. Idempotent.
  absl::Status Close();

 private:
  explicit ObjectStore(internal::StoreCore* core) : core_(core) {}

  internal::StoreCore* core_;  // shared with refs and views, which may outlive the store
};

}  // namespace spillway

#include "store/internal/object_store_inl.h"

#endif  // SPILLWAY_STORE_OBJECT_STORE_H_
