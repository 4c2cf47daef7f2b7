#include "serialization/type_registry.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "serialization/internal/binary_schema.h"
#include "serialization/internal/schema.h"
#include "serialization/internal/type_entry.h"
#include "serialization/mutex.h"

namespace spillway {
namespace internal {
namespace {

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

struct TypeEntry {
  std::string name;
  ObjectType type;
  Schema schema;
  const void* binary_schema = nullptr;  // of tables that flatc generated
};

class TypeRegistry {
 public:
  static TypeRegistry& Get() {
    static auto* registry = new TypeRegistry;
    return *registry;
  }

  void Announce(void (*intern)()) {
    MutexLock lock(&mutex_);
    announced_.push_back(intern);
  }

  void AnnounceBinarySchema(const void* bytes, size_t size) {
    MutexLock lock(&mutex_);
    binary_schemas_.push_back({bytes, size});
  }

  ObjectType Intern(TypeEntry entry) {
    MutexLock lock(&mutex_);
    return InternLocked(std::move(entry));
  }

  // Calls `use` with the entry of the type, or null, under the lock.
  template <typename Use>
  auto WithEntry(uint64_t type_id, Use use) {
    CatchUp();
    MutexLock lock(&mutex_);
    auto it = entries_.find(type_id);
    return use(it == entries_.end() ? nullptr : &it->second);
  }

  std::vector<std::string> Names() {
    CatchUp();
    MutexLock lock(&mutex_);
    std::vector<std::string> names;
    for (const auto& [id, entry] : entries_) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    return names;
  }

  // Whether payloads of the type with the fingerprint `stored` can be read with its schema as it is
  // known here, that of `wanted`.
  bool CanRead(uint64_t type_id, uint64_t stored, uint64_t wanted) {
    {
      MutexLock lock(&mutex_);
      if (auto it = verdicts_.find({type_id, stored, wanted}); it != verdicts_.end()) {
        return it->second;
      }
    }
    bool verdict = WithEntry(type_id, [&](const TypeEntry* entry) {
      return entry != nullptr && entry->type.encoding == Encoding::kFlatBuffer &&
             entry->type.fingerprint == wanted && IsFingerprintOfThisOrOlder(entry->schema, stored);
    });
    MutexLock lock(&mutex_);
    // Who asks for ever new schemas gets answers, but no more memory.
    if (verdicts_.size() < kMaxVerdicts) verdicts_[{type_id, stored, wanted}] = verdict;
    return verdict;
  }

 private:
  static constexpr size_t kMaxVerdicts = 4096;

  ObjectType InternLocked(TypeEntry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto [it, inserted] = entries_.try_emplace(entry.type.type_id, std::move(entry));
    if (!inserted) {
      const TypeEntry& known = it->second;
      CHECK(known.name == entry.name) << "the names of two types have the same hash: " << known.name
                                      << " and " << entry.name << "; rename one of them";
      CHECK(known.type == entry.type)
          << "this program has two types called " << known.name << " with different schemas";
    }
    return it->second.type;
  }

  // Interns what was announced since the last time. Not under the lock, since interning takes it.
  void CatchUp() {
    std::vector<void (*)()> announced;
    {
      MutexLock lock(&mutex_);
      announced.swap(announced_);
      for (auto [bytes, size] : std::exchange(binary_schemas_, {})) {
        CHECK(IsValidBinarySchema(bytes, size))
            << "a binary schema of " << size << " bytes, given to RegisterBinarySchema, is none";
        for (const std::string& name : TablesOf(bytes)) {
          Schema schema = SchemaOfTable(bytes, name);
          ObjectType type = {TypeIdOf(name), FingerprintOf(schema), Encoding::kFlatBuffer};
          InternLocked({name, type, std::move(schema), bytes});
        }
      }
    }
    for (auto* intern : announced) intern();
  }

  Mutex mutex_;
  std::map<uint64_t, TypeEntry> entries_ ABSL_GUARDED_BY(mutex_);  // by type id
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, bool> verdicts_ ABSL_GUARDED_BY(mutex_);
  std::vector<void (*)()> announced_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<const void*, size_t>> binary_schemas_ ABSL_GUARDED_BY(mutex_);
};

// The types that are known without being used.
template <typename... Ts>
void AnnounceBasic() {
  (TypeRegistry::Get().Announce([] {
    TypeRegistry::Get().Intern({Codec<Ts>::TypeName(), Codec<Ts>::Type(), DescribeRoot<Ts>()});
    TypeRegistry::Get().Intern({Codec<std::vector<Ts>>::TypeName(), Codec<std::vector<Ts>>::Type(),
                                DescribeRoot<std::vector<Ts>>()});
  }),
   ...);
}

[[maybe_unused]] const bool kBasicAnnounced = [] {
  AnnounceBasic<bool, char, std::byte, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                uint32_t, uint64_t, char8_t, char16_t, char32_t, float, double, std::string>();
  TypeRegistry::Get().Announce([] {
    TypeRegistry::Get().Intern(
        {Codec<RawBytes>::TypeName(),
         Codec<RawBytes>::Type(),
         {.root = "", .file_identifier = "", .types = {}, .note = "Bytes without structure."}});
  });
  return true;
}();

}  // namespace

ObjectType InternType(const std::string& name, Schema (*describe)()) {
  Schema schema = describe();
  ObjectType type = {TypeIdOf(name), FingerprintOf(schema), Encoding::kFlatBuffer};
  return TypeRegistry::Get().Intern({name, type, std::move(schema)});
}

void AnnounceType(void (*intern)()) { TypeRegistry::Get().Announce(intern); }

TableInfo FindTable(const char* name) {
  TableInfo info = {name, {TypeIdOf(name), 0, Encoding::kFlatBuffer}, "", nullptr};
  TypeRegistry::Get().WithEntry(info.type.type_id, [&](const TypeEntry* entry) {
    if (entry == nullptr) return;
    info.type = entry->type;
    info.file_identifier = entry->schema.file_identifier;
    info.binary_schema = entry->binary_schema;
  });
  return info;
}

void SchemaBuilder::AddPayload(const std::string& type_name, const ObjectType& type) {
  std::vector<SchemaType> definitions =
      TypeRegistry::Get().WithEntry(type.type_id, [](const TypeEntry* entry) {
        return entry == nullptr ? std::vector<SchemaType>() : entry->schema.types;
      });
  for (SchemaType& definition : definitions) {
    SchemaType* added = Begin(definition.kind, definition.name);
    if (added != nullptr) *added = std::move(definition);
  }
  if (!definitions.empty()) return;
  SchemaType* payload = Begin(SchemaType::Kind::kPayload, type_name);
  if (payload != nullptr) payload->base = absl::StrCat(absl::Hex(type.fingerprint));
}

}  // namespace internal

std::vector<std::string> RegisteredTypes() { return internal::TypeRegistry::Get().Names(); }

absl::StatusOr<std::string> SchemaText(std::string_view type_name) {
  using internal::TypeEntry;
  uint64_t id = type_name == Codec<RawBytes>::TypeName() ? 0 : internal::TypeIdOf(type_name);
  return internal::TypeRegistry::Get().WithEntry(
      id, [&](const TypeEntry* entry) -> absl::StatusOr<std::string> {
        if (entry == nullptr || entry->name != type_name) {
          return absl::NotFoundError(absl::StrCat("no type called ", internal::AsAbsl(type_name),
                                                  " is known to this program"));
        }
        return internal::SchemaToText(entry->schema);
      });
}

std::string TypeNameOf(const ObjectType& type) {
  return internal::TypeRegistry::Get().WithEntry(
      type.type_id, [&](const internal::TypeEntry* entry) {
        if (entry != nullptr) return entry->name;
        return absl::StrFormat("a type unknown here (id %016x)", type.type_id);
      });
}

bool IsReadableAs(const ObjectType& stored, const ObjectType& wanted) {
  if (stored == wanted) return true;
  if (stored.type_id != wanted.type_id || stored.encoding != wanted.encoding) return false;
  // A table whose schema was not registered, here or where it was written.
  if (stored.fingerprint == 0 || wanted.fingerprint == 0) return true;
  return internal::TypeRegistry::Get().CanRead(stored.type_id, stored.fingerprint,
                                               wanted.fingerprint);
}

absl::Status CheckReadable(const ObjectType& stored, const ObjectType& wanted, uint64_t object_id,
                           size_t size_bytes) {
  if (IsReadableAs(stored, wanted)) return absl::OkStatus();
  std::string what =
      absl::StrCat("object ", object_id, " of ", size_bytes, " bytes holds ", TypeNameOf(stored));
  if (stored.type_id != wanted.type_id || stored.encoding != wanted.encoding) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, " and was asked for as ", TypeNameOf(wanted)));
  }
  return absl::FailedPreconditionError(
      absl::StrFormat("%s with the schema %016x and was asked for as %s with the schema %016x, "
                      "which does not extend "
                      "the other",
                      what, stored.fingerprint, TypeNameOf(wanted), wanted.fingerprint));
}

ObjectType CustomType(std::string_view type_name, uint64_t version, std::string_view format) {
  internal::Schema schema;
  schema.note = absl::StrCat("Not a FlatBuffer, but an encoding of its own, version ", version,
                             ":\n", internal::AsAbsl(format));
  ObjectType type = {internal::TypeIdOf(type_name), version, Encoding::kCustom};
  return internal::TypeRegistry::Get().Intern({std::string(type_name), type, std::move(schema)});
}

bool RegisterBinarySchema(const void* bytes, size_t size) {
  internal::TypeRegistry::Get().AnnounceBinarySchema(bytes, size);
  return true;
}

}  // namespace spillway
