// The templates of object_store.h, object_ref.h and object_view.h, and the hot path of a get.
#ifndef SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_
#define SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/internal/handle.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"
#include "store/object_store.h"

namespace spillway {

namespace internal {

// One pin on the entry's bytes: an atomic add if they are resident.
inline absl::Status PinBytes(Entry* entry, const GetOptions& options) {
  if (entry == nullptr) return absl::InvalidArgumentError("get of an empty ref");
  StoreCore* core = SlabOf(entry).core;
  if (TryPin(entry)) [[likely]] {
    core->CountHit(entry);
    return absl::OkStatus();
  }
  return core->PinSlow(entry, options);
}

// FailedPrecondition that names both types if the entry does not hold a T.
template <typename T>
absl::Status CheckType(const Entry* entry) {
  const uint16_t wanted = TypeNumberFor<T>();
  if (entry->type == wanted || TypesAgree(entry->type, wanted)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(SlabOf(entry).core->Describe(entry),
                                                    " was asked for as ", DescribeType(wanted)));
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

inline uint64_t AnyRef::size_bytes() const { return entry_ == nullptr ? 0 : entry_->size; }

inline absl::StatusOr<RawView> AnyRef::GetRaw(const GetOptions& options) const {
  if (absl::Status status = internal::PinBytes(entry_, options); !status.ok()) return status;
  return internal::HandleAccess::MakeView<RawView>(entry_);
}

inline absl::StatusOr<RawView> AnyRef::GetRaw() const { return GetRaw(GetOptions()); }

inline RawView::~RawView() {
  if (entry_ != nullptr) internal::Unpin(entry_);
}

inline ObjectType RawView::type() const {
  return entry_ == nullptr ? ObjectType{} : internal::TypeOf(entry_->type);
}

inline ObjectId RawView::id() const {
  return {entry_ == nullptr ? 0 : entry_->id.load(std::memory_order_relaxed)};
}

template <typename T>
absl::StatusOr<ObjectView<T>> ObjectRef<T>::Get(const GetOptions& options) const {
  internal::Entry* entry = internal::HandleAccess::EntryOf(any_);
  if (absl::Status status = internal::PinBytes(entry, options); !status.ok()) return status;
  return internal::HandleAccess::MakeTypedView<ObjectView<T>>(
      internal::HandleAccess::MakeView<RawView>(entry));
}

template <typename T>
absl::StatusOr<ObjectView<T>> ObjectRef<T>::Get() const {
  return Get(GetOptions());
}

template <typename T>
absl::StatusOr<T> ObjectRef<T>::Read() const {
  static_assert(Decodable<T>, "a T cannot be copied out of its view: use Get");
  absl::StatusOr<ObjectView<T>> view = Get();
  if (!view.ok()) return view.status();
  return Codec<T>::Decode(**view);
}

template <typename V>
absl::StatusOr<ObjectRef<StoredType<V>>> ObjectStore::Put(const V& value,
                                                          const PutOptions& options) {
  using T = StoredType<V>;
  RequireCodec<T>();
  const absl::StatusOr<size_t> size = Codec<T>::EncodedSize(value);
  if (!size.ok()) return size.status();
  absl::StatusOr<internal::Entry*> entry =
      core_->Begin(*size, internal::TypeNumberFor<T>(), options);
  if (!entry.ok()) return entry.status();
  Codec<T>::Encode(value, absl::MakeSpan(internal::BytesOf(*entry), *size));
  AnyRef ref = internal::HandleAccess::MakeRef<AnyRef>(*entry);
  if (absl::Status status = core_->Seal(*entry); !status.ok()) return status;
  return internal::HandleAccess::MakeTypedRef<ObjectRef<T>>(std::move(ref));
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
absl::StatusOr<ObjectView<T>> ObjectStore::Get(ObjectId id, const GetOptions& options) const {
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
  core_->PinMany(entries, options, &statuses);
  std::vector<absl::StatusOr<ObjectView<T>>> views;
  views.reserve(refs.size());
  for (size_t i = 0; i < refs.size(); ++i) {
    if (!statuses[i].ok()) {
      views.push_back(statuses[i]);
      continue;
    }
    views.push_back(internal::HandleAccess::MakeTypedView<ObjectView<T>>(
        internal::HandleAccess::MakeView<RawView>(entries[i])));
  }
  return views;
}

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_OBJECT_STORE_INL_H_
