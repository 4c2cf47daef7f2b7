#include "store/object_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
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
  if (entry_ != nullptr) internal::SlabOf(entry_).core->Abandon(entry_);
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

absl::StatusOr<AnyRef> ObjectStore::PutRaw(absl::Span<const char> bytes, const ObjectType& type,
                                           const PutOptions& options) {
  absl::StatusOr<Entry*> begun =
      core_->Begin(bytes.size(), internal::TypeNumber(type, ""), options);
  if (!begun.ok()) return begun.status();
  Entry* entry = *begun;
  if (!bytes.empty()) std::memcpy(internal::BytesOf(entry), bytes.data(), bytes.size());
  if (type.encoding != Encoding::kRaw) {
    entry->word.fetch_or(internal::kUnverified, std::memory_order_relaxed);
  }
  AnyRef ref = HandleAccess::MakeRef<AnyRef>(entry);
  if (absl::Status status = core_->Seal(entry); !status.ok()) return status;
  return ref;
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

void ObjectStore::GetAsync(const AnyRef& ref,
                           std::function<void(absl::StatusOr<RawView> view)> callback,
                           const GetOptions& options) const {
  Entry* entry = HandleAccess::EntryOf(ref);
  const auto view_of = [options](Entry* pinned) {
    return HandleAccess::MakeView<RawView>(pinned, internal::LabelOf(pinned, options));
  };
  if (internal::TryPinBytes(entry) != nullptr) return callback(view_of(entry));
  if (entry == nullptr) return callback(absl::InvalidArgumentError("get of an empty ref"));
  core_->GetAsync(
      entry, options,
      [callback = std::move(callback), view_of](const absl::Status& status, Entry* pinned) {
        if (!status.ok()) return callback(status);
        callback(view_of(pinned));
      });
}

size_t ObjectStore::Prefetch(absl::Span<const AnyRef> refs) const {
  std::vector<Entry*> entries;
  entries.reserve(refs.size());
  for (const AnyRef& ref : refs) entries.push_back(HandleAccess::EntryOf(ref));
  return core_->Prefetch(entries);
}

absl::StatusOr<AnyRef> ObjectStore::Find(absl::string_view name) const {
  absl::StatusOr<Entry*> entry = core_->FindByName(name);
  if (!entry.ok()) return entry.status();
  return HandleAccess::MakeRef<AnyRef>(*entry);
}

absl::Status ObjectStore::Bind(absl::string_view name, const AnyRef& ref, bool replace) {
  Entry* entry = HandleAccess::EntryOf(ref);
  if (entry == nullptr) return absl::InvalidArgumentError("an empty ref cannot have a name");
  if (internal::SlabOf(entry).core != core_) {
    return absl::InvalidArgumentError("an object of another store cannot have a name here");
  }
  return core_->Bind(entry, name, replace);
}

absl::Status ObjectStore::Unbind(absl::string_view name) { return core_->Unbind(name); }

absl::StatusOr<std::vector<NamedObject>> ObjectStore::ListNames(absl::string_view prefix,
                                                                absl::string_view after,
                                                                size_t count) const {
  if (count > kNamesPerPageMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a page of ", count, " names is more than ", kNamesPerPageMax));
  }
  std::vector<NamedObject> names;
  absl::Status status = core_->ListNames(prefix, after, [&](absl::string_view name, uint64_t id) {
    if (names.size() == count) return false;
    names.push_back({std::string(name), {id}});
    return true;
  });
  if (!status.ok()) return status;
  return names;
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
  metadata.pins = internal::HolderPinsOf(word);
  if ((word & internal::kDurable) != 0) {
    metadata.durable = (word & internal::kRetired) == 0;
    absl::StatusOr<std::vector<std::string>> names = core_->NamesOf(id.value);
    if (!names.ok()) return names.status();
    metadata.names = *std::move(names);
  }
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

uint64_t ObjectStore::memory_limit_bytes() const { return core_->memory_limit_bytes(); }

uint64_t ObjectStore::Trim() { return core_->Trim(); }

StoreStats ObjectStore::Stats() const { return core_->Stats(); }

std::vector<bool> ObjectStore::Wait(absl::Span<const AnyRef> refs, size_t count,
                                    absl::Duration timeout) const {
  std::vector<Entry*> entries;
  entries.reserve(refs.size());
  for (const AnyRef& ref : refs) {
    entries.push_back(HandleAccess::EntryOf(ref));
    CHECK(entries.back() != nullptr) << "Wait for an empty ref";
  }
  CHECK_LE(count, refs.size()) << "Wait for more refs than there are";
  core_->WaitReady(entries, count, core_->clock()->Now() + timeout);
  std::vector<bool> ready;
  ready.reserve(refs.size());
  for (const AnyRef& ref : refs) ready.push_back(ref.ready());
  return ready;
}

std::vector<ObjectHolders> ObjectStore::Holders(size_t count) const {
  const auto larger = [](const ObjectHolders& a, const ObjectHolders& b) {
    return a.size_bytes > b.size_bytes;
  };
  std::vector<ObjectHolders> largest;  // a heap with the smallest in front
  core_->VisitHolders(
      [&](const Entry* entry, const internal::EntryExtras* extras, uint32_t contained) {
        if (largest.size() == count && (count == 0 || largest.front().size_bytes >= entry->size))
          return;
        const uint64_t word = entry->word.load(std::memory_order_relaxed);
        ObjectHolders holders;
        holders.id = {entry->id.load(std::memory_order_relaxed)};
        holders.type_name = internal::TypeNameOf(entry->type);
        holders.size_bytes = entry->size;
        holders.state = internal::StateName(internal::StateOf(word));
        holders.refs = internal::RefsOf(word);
        holders.container_refs = contained;
        holders.pins = internal::PinsOf(word) - ((word & internal::kSpilling) != 0 ? 1 : 0);
        holders.durable = (word & (internal::kDurable | internal::kRetired)) == internal::kDurable;
        if (extras != nullptr) {
          holders.kept = extras->kept;
          holders.explicit_pins = extras->explicit_pins;
          holders.pins -= std::min(holders.pins, extras->explicit_pins);
          for (const char* label : extras->labels) {
            if (label != nullptr) holders.labels.emplace_back(label);
          }
        }
        if (largest.size() == count) {
          std::pop_heap(largest.begin(), largest.end(), larger);
          largest.pop_back();
        }
        largest.push_back(std::move(holders));
        std::push_heap(largest.begin(), largest.end(), larger);
      });
  std::sort_heap(largest.begin(), largest.end(), larger);
  for (ObjectHolders& holders : largest) {
    if (!holders.durable) continue;
    absl::StatusOr<std::vector<std::string>> names = core_->NamesOf(holders.id.value);
    if (names.ok()) holders.names = *std::move(names);
  }
  return largest;
}

absl::Status ObjectStore::Close() { return core_->Close(); }

}  // namespace spillway
