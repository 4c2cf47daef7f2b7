// The templates of object_store.h, object_ref.h and object_view.h, and the hot path of a get.
#ifndef SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_
#define SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "store/internal/arena_builder.h"
#include "store/internal/handle.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"
#include "store/object_store.h"

namespace spillway {

namespace internal {

// The whole of a get that meets resident bytes: one pin on them, by an atomic add. Returns where
// they are; null, and nothing held, for any other.
inline const char* TryPinBytes(Entry* entry) {
  if (entry == nullptr) [[unlikely]]
    return nullptr;
  // An atomic operation holds up every load after it. So the counters are found, and the bytes
  // looked up and fetched, before the pin; whether these are still there is known after it.
  const uint64_t place = entry->place.load(std::memory_order_relaxed);
  const char* bytes = BytesAt(entry, place);
  __builtin_prefetch(bytes);
  StoreCore* core = SlabOf(entry).core;
  CounterBlock& mine = core->my_counters();
  if (!TryPin(entry)) [[unlikely]]
    return nullptr;
  core->CountHit(entry, mine);
  if (entry->place.load(std::memory_order_relaxed) != place) [[unlikely]]
    return BytesOf(entry);
  return bytes;
}

// The same pin for an entry that TryPinBytes refused, after whatever it takes.
inline absl::Status PinBytesSlow(Entry* entry, const GetOptions& options) {
  if (entry == nullptr) return absl::InvalidArgumentError("get of an empty ref");
  return SlabOf(entry).core->PinSlow(entry, options);
}

inline absl::Status PinBytes(Entry* entry, const GetOptions& options) {
  return TryPinBytes(entry) != nullptr ? absl::OkStatus() : PinBytesSlow(entry, options);
}

// A pin for a view. If the options do not promote a cold object, the pin is on a copy, which takes
// the entry's place.
inline absl::Status PinForView(Entry** entry, const GetOptions& options) {
  if (TryPinBytes(*entry) != nullptr) [[likely]]
    return absl::OkStatus();
  if (options.promote || *entry == nullptr) return PinBytesSlow(*entry, options);
  return SlabOf(*entry).core->PinInPassing(entry, options);
}

// The number of the label that the options give to a view; 0 for none.
inline uint16_t LabelOf(Entry* entry, const GetOptions& options) {
  if (options.label == nullptr) [[likely]]
    return 0;
  return SlabOf(entry).core->AddLabel(entry, options.label);
}

// FailedPrecondition that names both types if the entry does not hold a T.
template <typename T>
absl::Status CheckType(const Entry* entry) {
  const uint16_t wanted = TypeNumberFor<T>();
  if (entry->type == wanted || TypesAgree(entry->type, wanted)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(SlabOf(entry).core->Describe(entry), " ",
                                                    DescribeMismatch(entry->type, wanted)));
}

// While one lives, refs inside a value that is decoded on this thread are found among what
// `container` contains.
class DecodingScope {
 public:
  explicit DecodingScope(Entry* container) : outer_(std::exchange(container_, container)) {}
  ~DecodingScope() { container_ = outer_; }
  DecodingScope(const DecodingScope&) = delete;
  DecodingScope& operator=(const DecodingScope&) = delete;

  static Entry* container() { return container_; }

 private:
  inline static thread_local Entry* container_ = nullptr;
  Entry* const outer_;
};

// While one lives, the refs inside a value that is put by this thread are gathered.
class ContainedScope {
 public:
  explicit ContainedScope(std::vector<AnyRef>* refs) : outer_(std::exchange(refs_, refs)) {}
  ~ContainedScope() { refs_ = outer_; }
  ContainedScope(const ContainedScope&) = delete;
  ContainedScope& operator=(const ContainedScope&) = delete;

  static void Add(const AnyRef& ref) {
    if (refs_ != nullptr && ref) refs_->push_back(ref);
  }

 private:
  inline static thread_local std::vector<AnyRef>* refs_ = nullptr;
  std::vector<AnyRef>* const outer_;
};

// Takes the time of a put, if it is one of those of which it is taken.
class PutTimer {
 public:
  explicit PutTimer(StoreCore* core) : core_(core) {
    if (core->my_counters().Samples(Counter::kPuts, kPutsPerSample)) [[unlikely]]
      began_ = core->clock()->MonotonicNanos();
  }
  // The put has succeeded.
  void Record() {
    if (began_ < 0) [[likely]]
      return;
    core_->my_counters().Record(Latency::kPut,
                                static_cast<uint64_t>(core_->clock()->MonotonicNanos() - began_));
  }

 private:
  StoreCore* const core_;
  int64_t began_ = -1;
};

// The refs inside the value, if its type can hold any.
template <typename T, typename Source>
std::vector<AnyRef> ContainedRefs(const Source& source) {
  std::vector<AnyRef> refs;
  if constexpr (requires(absl::InlinedVector<uint64_t, 4> * ids) {
                  Codec<T>::ContainedIds(source, ids);
                }) {
    ContainedScope scope(&refs);
    absl::InlinedVector<uint64_t, 4> ids;
    Codec<T>::ContainedIds(source, &ids);
  }
  return refs;
}

}  // namespace internal

inline AnyRef::AnyRef(const AnyRef& other) : entry_(other.entry_) {
  if (entry_ != nullptr) internal::Ref(entry_);
}

inline AnyRef::~AnyRef() {
  if (entry_ != nullptr) internal::Unref(entry_);
}

inline ObjectId AnyRef::id() const {
  return {entry_ == nullptr ? 0 : entry_->id.load(std::memory_order_relaxed)};
}

inline ObjectType AnyRef::type() const {
  return entry_ == nullptr ? ObjectType{} : internal::TypeOf(entry_->type);
}

inline uint64_t AnyRef::size_bytes() const {
  return entry_ == nullptr ? 0 : entry_->size.load(std::memory_order_relaxed);
}

inline absl::StatusOr<RawView> AnyRef::GetRaw(const GetOptions& options) const {
  internal::Entry* entry = entry_;
  if (absl::Status status = internal::PinForView(&entry, options); !status.ok()) return status;
  return internal::HandleAccess::MakeView<RawView>(entry, internal::LabelOf(entry, options));
}

inline absl::StatusOr<RawView> AnyRef::GetRaw() const { return GetRaw(GetOptions()); }

inline RawView::~RawView() {
  internal::Entry* pinned = entry();
  if (pinned == nullptr) return;
  if (label() != 0) [[unlikely]]
    internal::SlabOf(pinned).core->RemoveLabel(pinned, label());
  internal::Unpin(pinned);
}

inline absl::Span<const char> RawView::bytes() const {
  const internal::Entry* pinned = entry();
  if (pinned == nullptr) return {};
  return {internal::BytesOf(pinned), pinned->size.load(std::memory_order_relaxed)};
}

inline bool AnyRef::ready() const {
  return entry_ != nullptr && internal::StateOf(entry_->word.load(std::memory_order_acquire)) !=
                                  internal::State::kPending;
}

inline bool AnyRef::resident() const {
  return entry_ != nullptr && internal::IsResident(entry_->word.load(std::memory_order_acquire));
}

inline absl::Status AnyRef::error() const {
  if (entry_ == nullptr) return absl::InvalidArgumentError("the ref is empty");
  if (resident()) return absl::OkStatus();
  return internal::SlabOf(entry_).core->ErrorOf(entry_);
}

inline void AnyRef::OnReady(std::function<void()> callback) const {
  if (entry_ == nullptr) return callback();
  internal::SlabOf(entry_).core->OnReady(entry_, std::move(callback));
}

inline void AnyRef::OnLoss(
    std::function<void(const absl::Status& why, AnyPromise promise)> callback) const {
  if (entry_ == nullptr) return;
  internal::LossCallback with_promise;
  if (callback) {
    with_promise = [callback = std::move(callback)](const absl::Status& why,
                                                    internal::Entry* entry) {
      callback(why, AnyPromise(entry));
    };
  }
  internal::SlabOf(entry_).core->OnLoss(entry_, std::move(with_promise));
}

inline void AnyRef::Hint(PolicyHint hint) const {
  if (entry_ != nullptr) internal::SlabOf(entry_).core->Hint(entry_, hint);
}

inline absl::Status AnyRef::Persist() const {
  if (entry_ == nullptr) return absl::InvalidArgumentError("an empty ref cannot be made durable");
  return internal::SlabOf(entry_).core->Persist(entry_);
}

template <typename T>
absl::StatusOr<ObjectRef<T>> AnyRef::As() const {
  RequireCodec<T>();
  if (entry_ == nullptr) return absl::InvalidArgumentError("an empty ref has no type");
  if (absl::Status status = internal::CheckType<T>(entry_); !status.ok()) return status;
  return internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(*this);
}

inline ObjectId AnyPromise::id() const {
  return {entry_ == nullptr ? 0 : entry_->id.load(std::memory_order_relaxed)};
}

template <typename T>
absl::StatusOr<Promise<T>> AnyPromise::As() && {
  RequireCodec<T>();
  if (entry_ == nullptr) return absl::InvalidArgumentError("the promise was kept before");
  if (absl::Status status = internal::CheckType<T>(entry_); !status.ok()) return status;
  return Promise<T>(std::move(*this));
}

template <typename T>
template <typename V>
absl::Status Promise<T>::Set(const V& value) {
  static_assert(EncodableFrom<T, V>, "the promised type cannot be encoded from this value");
  internal::Entry* entry = any_.entry_;
  if (entry == nullptr) return absl::FailedPreconditionError("the promise was kept before");
  internal::StoreCore* core = internal::SlabOf(entry).core;
  const absl::StatusOr<size_t> size = Codec<T>::EncodedSize(value);
  if (!size.ok()) return size.status();
  if (std::vector<AnyRef> refs = internal::ContainedRefs<T>(value); !refs.empty()) {
    if (absl::Status status = core->Contain(entry, refs); !status.ok()) return status;
  }
  if (absl::Status status = core->Fulfil(entry, *size); !status.ok()) return status;
  Codec<T>::Encode(value, absl::MakeSpan(internal::BytesOf(entry), *size));
  any_.entry_ = nullptr;
  absl::Status status = core->Seal(entry);
  internal::Unref(entry);
  return status;
}

inline void AnyPromise::Fail(absl::Status status) {
  if (entry_ == nullptr) return;
  internal::Entry* entry = std::exchange(entry_, nullptr);
  internal::StoreCore* core = internal::SlabOf(entry).core;
  core->Fail(entry, std::move(status));
  core->Abandon(entry);
}

template <typename T>
absl::StatusOr<Pending<T>> ObjectStore::MakePending(const PutOptions& options) {
  RequireCodec<T>();
  absl::StatusOr<internal::Entry*> entry =
      core_->BeginPending(internal::TypeNumberFor<T>(), options);
  if (!entry.ok()) return entry.status();
  Pending<T> pending;
  pending.ref = internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(
      internal::HandleAccess::MakeRef<AnyRef>(*entry));
  pending.promise = Promise<T>(AnyPromise(*entry));
  return pending;
}

template <typename T, typename Source>
absl::StatusOr<ObjectRef<T>> ObjectStore::PutAs(const Source& source, const PutOptions& options) {
  RequireCodec<T>();
  internal::PutTimer timer(core_);
  const absl::StatusOr<size_t> size = Codec<T>::EncodedSize(source);
  if (!size.ok()) return size.status();
  PutOptions with_contained = options;
  std::vector<AnyRef> contained = internal::ContainedRefs<T>(source);
  if (!contained.empty()) {
    contained.insert(contained.end(), options.contains.begin(), options.contains.end());
    with_contained.contains = contained;
  }
  absl::StatusOr<internal::Entry*> entry =
      core_->Begin(*size, internal::TypeNumberFor<T>(), with_contained);
  if (!entry.ok()) return entry.status();
  Codec<T>::Encode(source, absl::MakeSpan(internal::BytesOf(*entry), *size));
  AnyRef ref = internal::HandleAccess::MakeRef<AnyRef>(*entry);
  if (absl::Status status = core_->Seal(*entry); !status.ok()) return status;
  timer.Record();
  return internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(std::move(ref));
}

template <typename T, typename Fn>
absl::StatusOr<ObjectRef<T>> ObjectStore::Build(Fn fn, const BuildOptions& options) {
  RequireCodec<T>();
  if (options.size_hint_bytes > kMaxFlatBufferBytes) {
    return TooLargeForFlatBuffer(Codec<T>::TypeName(), options.size_hint_bytes);
  }
  // A multiple of the alignment, so that what ends at the block's end is aligned throughout.
  const uint64_t room = (std::max<uint64_t>(options.size_hint_bytes, 1) + kBlockAlignment - 1) /
                        kBlockAlignment * kBlockAlignment;
  absl::StatusOr<internal::Entry*> entry =
      core_->Begin(room, internal::TypeNumberFor<T>(), options.put);
  if (!entry.ok()) return entry.status();
  absl::Status failure;
  uint64_t size = 0;
  {
    internal::ArenaBuilderAllocator allocator(core_, *entry);
    flatbuffers::FlatBufferBuilder builder(room, &allocator, /*own_allocator=*/false,
                                           kBlockAlignment);
    // Makes the whole a multiple of the block's alignment, so that it starts at one.
    builder.ForceVectorAlignment(0, 1, kBlockAlignment);
    flatbuffers::Offset<T> root = fn(builder);
    builder.Finish(root);
    size = builder.GetSize();
    failure = allocator.failure();
    if (failure.ok() && size > kMaxFlatBufferBytes) {
      failure = TooLargeForFlatBuffer(Codec<T>::TypeName(), size);
    }
  }
  if (!failure.ok()) {
    core_->Abandon(*entry);
    return failure;
  }
  core_->KeepTail(*entry, size);
  AnyRef ref = internal::HandleAccess::MakeRef<AnyRef>(*entry);
  if (absl::Status status = core_->Seal(*entry); !status.ok()) return status;
  return internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(std::move(ref));
}

inline ObjectType RawView::type() const {
  const internal::Entry* pinned = entry();
  return pinned == nullptr ? ObjectType{} : internal::TypeOf(pinned->type);
}

inline ObjectId RawView::id() const {
  const internal::Entry* pinned = entry();
  return {pinned == nullptr ? 0 : pinned->id.load(std::memory_order_relaxed)};
}

namespace internal {

// Bytes from outside the process are verified before the first typed view of them. REQUIRES: the
// caller holds a pin, which goes if there is an error.
template <typename T>
absl::Status VerifyOnce(Entry* entry) {
  if ((entry->word.load(std::memory_order_acquire) & kUnverified) == 0) [[likely]]
    return absl::OkStatus();
  if (absl::Status status = Codec<T>::Verify({BytesOf(entry), entry->size}); !status.ok()) {
    status = absl::DataLossError(
        absl::StrCat(SlabOf(entry).core->Describe(entry), ": ", status.message()));
    internal::Unpin(entry);
    return status;
  }
  entry->word.fetch_and(~kUnverified, std::memory_order_release);
  return absl::OkStatus();
}

// The typed view of an entry of whose pins one is handed over.
template <typename T>
absl::StatusOr<ObjectView<T>> MakeObjectView(Entry* entry, const GetOptions& options) {
  if (absl::Status status = VerifyOnce<T>(entry); !status.ok()) return status;
  RawView raw = HandleAccess::MakeView<RawView>(entry, LabelOf(entry, options));
  const absl::Span<const char> bytes = raw.bytes();
  return HandleAccess::MakeTypedView<ObjectView<T>>(std::move(raw), bytes);
}

// A pin on verified bytes after TryPinBytes refused. Null, or the error on the heap: were it
// returned by value, the hot path's result would have to be in memory, too.
template <typename T>
ABSL_ATTRIBUTE_NOINLINE absl::Status* PinVerifiedSlow(Entry* entry) {
  absl::Status status = PinBytesSlow(entry, GetOptions());
  if (status.ok()) status = VerifyOnce<T>(entry);
  return status.ok() ? nullptr : new absl::Status(std::move(status));
}

}  // namespace internal

template <typename T>
absl::StatusOr<ObjectView<T>> ObjectRef<T>::Get(const GetOptions& options) const {
  internal::Entry* entry = internal::HandleAccess::EntryOf(any_);
  if (absl::Status status = internal::PinForView(&entry, options); !status.ok()) return status;
  return internal::MakeObjectView<T>(entry, options);
}

template <typename T>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline absl::StatusOr<ObjectView<T>> ObjectRef<T>::Get() const {
  internal::Entry* entry = internal::HandleAccess::EntryOf(any_);
  const char* bytes = internal::TryPinBytes(entry);
  if (bytes == nullptr) [[unlikely]] {
    if (absl::Status* failure = internal::PinVerifiedSlow<T>(entry); failure != nullptr) {
      return *std::unique_ptr<absl::Status>(failure);
    }
    bytes = internal::BytesOf(entry);
  }
  return internal::HandleAccess::MakeTypedView<ObjectView<T>>(
      internal::HandleAccess::MakeView<RawView>(entry),
      {bytes, entry->size.load(std::memory_order_relaxed)});
}

template <typename T>
absl::StatusOr<T> ObjectRef<T>::Read() const {
  static_assert(Decodable<T>, "a T cannot be copied out of its view: use Get");
  absl::StatusOr<ObjectView<T>> view = Get();
  if (!view.ok()) return view.status();
  internal::DecodingScope scope(internal::HandleAccess::EntryOf(any_));
  return Codec<T>::Decode(**view);
}

template <typename V>
absl::StatusOr<ObjectRef<StoredType<V>>> ObjectStore::Put(const V& value,
                                                          const PutOptions& options) {
  return PutAs<StoredType<V>>(value, options);
}

template <typename T>
absl::StatusOr<ObjectRef<T>> ObjectStore::Ref(ObjectId id) const {
  RequireCodec<T>();
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  absl::Status status = internal::CheckType<T>(internal::HandleAccess::EntryOf(*ref));
  if (!status.ok()) return status;
  return internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(*std::move(ref));
}

template <typename T>
absl::StatusOr<ObjectRef<T>> ObjectStore::Find(absl::string_view name) const {
  RequireCodec<T>();
  absl::StatusOr<AnyRef> ref = Find(name);
  if (!ref.ok()) return ref.status();
  return ref->As<T>();
}

template <typename T>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline absl::StatusOr<ObjectView<T>> ObjectStore::Get(
    ObjectId id) const {
  // A pin alone will do where the bytes are resident; a ref is for who has to wait for them.
  if (internal::Entry* entry = core_->FindResident(id); entry != nullptr) [[likely]] {
    if (entry->type == internal::TypeNumberFor<T>()) [[likely]] {
      core_->CountHit(entry);
      return internal::HandleAccess::MakeTypedView<ObjectView<T>>(
          internal::HandleAccess::MakeView<RawView>(entry),
          {internal::BytesOf(entry), entry->size.load(std::memory_order_relaxed)});
    }
    internal::Unpin(entry);
  }
  return Get<T>(id, GetOptions());
}

template <typename T>
absl::StatusOr<ObjectView<T>> ObjectStore::Get(ObjectId id, const GetOptions& options) const {
  RequireCodec<T>();
  absl::StatusOr<ObjectRef<T>> ref = Ref<T>(id);
  if (!ref.ok()) return ref.status();
  return ref->Get(options);
}

template <typename T>
std::vector<absl::StatusOr<ObjectView<T>>> ObjectStore::GetMany(absl::Span<const ObjectRef<T>> refs,
                                                                const GetOptions& options) const {
  std::vector<internal::Entry*> entries;
  entries.reserve(refs.size());
  for (const ObjectRef<T>& ref : refs) {
    entries.push_back(internal::HandleAccess::EntryOf(ref.any()));
  }
  std::vector<absl::Status> statuses;
  if (options.promote) {
    core_->PinMany(entries, options, &statuses);
  } else {
    for (internal::Entry*& entry : entries) {
      statuses.push_back(internal::PinForView(&entry, options));
    }
  }
  std::vector<absl::StatusOr<ObjectView<T>>> views;
  views.reserve(refs.size());
  for (size_t i = 0; i < refs.size(); ++i) {
    if (!statuses[i].ok()) {
      views.push_back(statuses[i]);
      continue;
    }
    views.push_back(internal::MakeObjectView<T>(entries[i], options));
  }
  return views;
}

template <typename T>
void ObjectStore::GetAsync(
    const ObjectRef<T>& ref,
    std::type_identity_t<std::function<void(absl::StatusOr<ObjectView<T>> view)>> callback,
    const GetOptions& options) const {
  internal::Entry* entry = internal::HandleAccess::EntryOf(ref.any());
  if (internal::TryPinBytes(entry) != nullptr) {
    return callback(internal::MakeObjectView<T>(entry, options));
  }
  if (entry == nullptr) return callback(absl::InvalidArgumentError("get of an empty ref"));
  core_->GetAsync(entry, options,
                  [callback = std::move(callback), options](const absl::Status& status,
                                                            internal::Entry* pinned) {
                    if (!status.ok()) return callback(status);
                    callback(internal::MakeObjectView<T>(pinned, options));
                  });
}

template <typename T>
size_t ObjectStore::Prefetch(absl::Span<const ObjectRef<T>> refs) const {
  std::vector<internal::Entry*> entries;
  entries.reserve(refs.size());
  for (const ObjectRef<T>& ref : refs) {
    entries.push_back(internal::HandleAccess::EntryOf(ref.any()));
  }
  return core_->Prefetch(entries);
}

// A ref inside a value is stored as its object's id. Its view is that id, for ObjectStore::Ref;
// Read yields refs again. The container keeps the object alive; if it was deleted by force, gets
// through the ref answer NotFound.
template <typename U>
struct ScalarForm<ObjectRef<U>> {
  using Stored = uint64_t;
  using View = ObjectId;

  static std::string Name() { return absl::StrCat("ref<", Codec<U>::TypeName(), ">"); }
  static Stored ToStored(const ObjectRef<U>& ref) { return ref.id().value; }
  static View FromStored(Stored stored) { return ObjectId{stored}; }
  static ObjectRef<U> Decode(const View& id) {
    internal::Entry* container = internal::DecodingScope::container();
    if (container == nullptr || !id) return {};
    internal::Entry* entry = internal::SlabOf(container).core->FindContained(container, id);
    if (entry == nullptr) return {};
    return internal::HandleAccess::MakeTypedRef<ObjectRef<U>>(
        internal::HandleAccess::MakeRef<AnyRef>(entry));
  }
  static uint64_t ContainedId(const ObjectRef<U>& ref) {
    internal::ContainedScope::Add(ref.any());
    return ref.id().value;
  }
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_
