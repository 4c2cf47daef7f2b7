#include "store/object_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "store/internal/handle.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"

namespace spillway {

using internal::Entry;
using internal::HandleAccess;

ObjectBuilder& ObjectBuilder::operator=(ObjectBuilder&& other) noexcept {
  std::swap(entry_, other.entry_);
  return *this;
}

ObjectBuilder::~ObjectBuilder() {
  if (entry_ != nullptr) internal::Unref(entry_);
}

absl::Span<char> ObjectBuilder::data() const {
  if (entry_ == nullptr) return {};
  return absl::MakeSpan(internal::BytesOf(entry_), entry_->size);
}

absl::StatusOr<ObjectRef<RawBytes>> ObjectBuilder::Seal() {
  if (entry_ == nullptr) return absl::FailedPreconditionError("the object was sealed before");
  Entry* entry = std::exchange(entry_, nullptr);
  AnyRef ref = HandleAccess::MakeRef<AnyRef>(entry);
  if (absl::Status status = internal::SlabOf(entry).core->Seal(entry); !status.ok()) return status;
  return HandleAccess::MakeTypedRef<ObjectRef<RawBytes>>(std::move(ref));
}

absl::StatusOr<std::unique_ptr<ObjectStore>> ObjectStore::Open(
    const StoreOptions& options, std::unique_ptr<SpillBackend> backend) {
  absl::StatusOr<internal::StoreCore*> core =
      internal::StoreCore::Open(options, std::move(backend));
  if (!core.ok()) return core.status();
  return std::unique_ptr<ObjectStore>(new ObjectStore(*core));
}

ObjectStore::~ObjectStore() { core_->Orphan(); }

absl::StatusOr<ObjectBuilder> ObjectStore::Create(uint64_t size_bytes, const PutOptions& options) {
  absl::StatusOr<Entry*> entry = core_->Begin(size_bytes, internal::kRawType, options);
  if (!entry.ok()) return entry.status();
  return ObjectBuilder(*entry);
}

absl::StatusOr<AnyRef> ObjectStore::Ref(ObjectId id) const {
  absl::StatusOr<Entry*> entry = core_->Find(id);
  if (!entry.ok()) return entry.status();
  return HandleAccess::MakeRef<AnyRef>(*entry);
}

absl::StatusOr<RawView> ObjectStore::GetRaw(ObjectId id, const GetOptions& options) const {
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  return ref->GetRaw(options);
}

bool ObjectStore::Exists(ObjectId id) const { return Metadata(id).ok(); }

absl::StatusOr<ObjectMetadata> ObjectStore::Metadata(ObjectId id) const {
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  const Entry* entry = HandleAccess::EntryOf(*ref);
  const uint64_t word = entry->word.load(std::memory_order_acquire);
  const internal::State state = internal::StateOf(word);
  if (state == internal::State::kDeleted || state == internal::State::kClosed) {
    return absl::NotFoundError(absl::StrCat("no object ", ToString(id), ": deleted"));
  }
  ObjectMetadata metadata;
  metadata.id = id;
  metadata.type = internal::TypeOf(entry->type);
  metadata.type_name = internal::TypeNameOf(entry->type);
  metadata.size_bytes = entry->size;
  metadata.state = internal::StateName(state);
  metadata.created = core_->TimeOf(entry->created_ds);
  metadata.last_access = core_->TimeOf(entry->accessed_ds.load(std::memory_order_relaxed));
  metadata.refs = internal::RefsOf(word) - 1;  // less the one held here
  metadata.pins = internal::PinsOf(word) - ((word & internal::kSpilling) != 0 ? 1 : 0);
  return metadata;
}

absl::Status ObjectStore::Pin(ObjectId id) {
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  Entry* entry = HandleAccess::EntryOf(*ref);
  if (absl::Status status = internal::PinBytes(entry, GetOptions()); !status.ok()) return status;
  core_->AddExplicitPin(entry);
  return absl::OkStatus();
}

absl::Status ObjectStore::Unpin(ObjectId id) {
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  return core_->RemoveExplicitPin(HandleAccess::EntryOf(*ref));
}

absl::Status ObjectStore::Delete(ObjectId id) {
  absl::StatusOr<AnyRef> ref = Ref(id);
  if (!ref.ok()) return ref.status();
  return core_->Delete(HandleAccess::EntryOf(*ref));
}

absl::Status ObjectStore::Flush() { return core_->Flush(); }

absl::Status ObjectStore::SetMemoryLimit(uint64_t memory_limit_bytes) {
  return core_->SetMemoryLimit(memory_limit_bytes);
}

uint64_t ObjectStore::Trim() { return core_->Trim(); }

StoreStats ObjectStore::Stats() const { return core_->Stats(); }

absl::Status ObjectStore::Close() { return core_->Close(); }

}  // namespace spillway
