#include "spill/rocksdb/durable_index.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace spillway::internal {
namespace {

constexpr char kRecordPrefix = 'o';
constexpr char kObjectPrefix = 'i';
constexpr char kNamePrefix = 'n';
constexpr char kNameOfPrefix = 'm';
constexpr char kRetiredPrefix = 'e';
constexpr size_t kNumberBytes = 8;
constexpr size_t kKeyBytes = 1 + kNumberBytes;

// Of a record's value.
constexpr size_t kKindAt = 0;
constexpr size_t kDiskBytesAt = 1;
constexpr size_t kHeaderAt = kDiskBytesAt + kNumberBytes;
constexpr size_t kPayloadAt = kHeaderAt + kRecordHeaderBytes;
constexpr char kKindFile = 0;
constexpr char kKindInline = 1;

void PutLittleEndian(uint64_t number, char* out) {
  for (size_t i = 0; i < kNumberBytes; ++i) out[i] = static_cast<char>(number >> (8 * i));
}

uint64_t GetLittleEndian(const char* in) {
  uint64_t number = 0;
  for (size_t i = kNumberBytes; i-- > 0;) number = number << 8 | static_cast<uint8_t>(in[i]);
  return number;
}

std::string NumberKey(char prefix, uint64_t number) {
  std::string key(kKeyBytes, prefix);
  for (size_t i = 0; i < kNumberBytes; ++i) key[1 + i] = static_cast<char>(number >> (56 - 8 * i));
  return key;
}

uint64_t NumberOfKey(absl::string_view key) {
  uint64_t number = 0;
  for (size_t i = 1; i < kKeyBytes; ++i) number = number << 8 | static_cast<uint8_t>(key[i]);
  return number;
}

std::string NameKey(absl::string_view name) {
  return absl::StrCat(absl::string_view(&kNamePrefix, 1), name);
}

std::string NameOfKey(uint64_t object_id, absl::string_view name) {
  return absl::StrCat(NumberKey(kNameOfPrefix, object_id), name);
}

std::string NumberValue(uint64_t number) {
  std::string value(kNumberBytes, '\0');
  PutLittleEndian(number, value.data());
  return value;
}

bool ParseRecord(absl::string_view key, absl::string_view value, DurableEntry* entry) {
  if (key.size() != kKeyBytes || value.size() < kPayloadAt) return false;
  const char kind = value[kKindAt];
  if (kind != kKindFile && kind != kKindInline) return false;
  entry->ticket = NumberOfKey(key);
  entry->disk_bytes = GetLittleEndian(value.data() + kDiskBytesAt);
  entry->is_inline = kind == kKindInline;
  const absl::string_view record = value.substr(kHeaderAt);
  if (!entry->is_inline) {
    return value.size() == kPayloadAt && DecodeRecordHeaderOnly(record, &entry->header).ok();
  }
  entry->inline_payload = value.substr(kPayloadAt);
  return DecodeRecordHeader(record, &entry->header).ok();
}

absl::StatusOr<uint64_t> FindNumber(SpillDatabase* database, const std::string& key,
                                    absl::string_view what) {
  std::string value;
  const rocksdb::Status status = database->GetIndexed(key, &value);
  if (status.IsNotFound()) return absl::NotFoundError(absl::StrCat(what, " is not there"));
  if (!status.ok()) return FromRocksDb(status, what);
  if (value.size() != kNumberBytes) {
    return absl::DataLossError(absl::StrCat("the index entry of ", what, " is damaged"));
  }
  return GetLittleEndian(value.data());
}

}  // namespace

void PutDurable(const DurableEntry& entry, rocksdb::WriteBatch* update) {
  std::string value(kPayloadAt, '\0');
  value[kKindAt] = entry.is_inline ? kKindInline : kKindFile;
  PutLittleEndian(entry.disk_bytes, value.data() + kDiskBytesAt);
  EncodeRecordHeader(entry.header, value.data() + kHeaderAt);
  absl::StrAppend(&value, entry.inline_payload);
  update->Put(NumberKey(kRecordPrefix, entry.ticket), value);
  update->Put(NumberKey(kObjectPrefix, entry.header.object_id), NumberValue(entry.ticket));
}

void DeleteDurable(SpillDatabase* database, SpillTicket ticket, rocksdb::WriteBatch* update) {
  std::string storage;
  const absl::StatusOr<DurableEntry> entry = FindDurable(database, ticket, &storage);
  if (entry.ok()) {
    const uint64_t id = entry->header.object_id;
    const absl::StatusOr<SpillTicket> current = FindDurableTicket(database, id);
    if (current.ok() && *current == ticket) {
      update->Delete(NumberKey(kObjectPrefix, id));
      DeleteRetired(id, update);
    }
  }
  update->Delete(NumberKey(kRecordPrefix, ticket));
}

void PutName(SpillDatabase* database, absl::string_view name, uint64_t object_id,
             rocksdb::WriteBatch* update) {
  DeleteName(database, name, update);
  update->Put(NameKey(name), NumberValue(object_id));
  update->Put(NameOfKey(object_id, name), rocksdb::Slice());
}

void DeleteName(SpillDatabase* database, absl::string_view name, rocksdb::WriteBatch* update) {
  const absl::StatusOr<uint64_t> bound = FindDurableName(database, name);
  if (bound.ok()) update->Delete(NameOfKey(*bound, name));
  update->Delete(NameKey(name));
}

void PutRetired(uint64_t object_id, rocksdb::WriteBatch* update) {
  update->Put(NumberKey(kRetiredPrefix, object_id), rocksdb::Slice());
}

void DeleteRetired(uint64_t object_id, rocksdb::WriteBatch* update) {
  update->Delete(NumberKey(kRetiredPrefix, object_id));
}

absl::StatusOr<bool> IsRetired(SpillDatabase* database, uint64_t object_id) {
  std::string value;
  const rocksdb::Status status = database->GetIndexed(NumberKey(kRetiredPrefix, object_id), &value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return FromRocksDb(status, absl::StrCat("durable object ", object_id));
  return true;
}

absl::Status ForEachRetired(SpillDatabase* database,
                            const std::function<void(uint64_t id)>& found) {
  return database->ForEachIndexed(absl::string_view(&kRetiredPrefix, 1),
                                  absl::string_view(&kRetiredPrefix, 1),
                                  [&](absl::string_view key, absl::string_view) {
                                    if (key.size() == kKeyBytes) found(NumberOfKey(key));
                                    return true;
                                  });
}

absl::StatusOr<DurableEntry> FindDurable(SpillDatabase* database, SpillTicket ticket,
                                         std::string* storage) {
  const std::string key = NumberKey(kRecordPrefix, ticket);
  const rocksdb::Status status = database->GetIndexed(key, storage);
  if (status.IsNotFound()) {
    return absl::NotFoundError(absl::StrCat("no record has spill ticket ", ticket));
  }
  if (!status.ok()) return FromRocksDb(status, absl::StrCat("durable record ", ticket));
  DurableEntry entry;
  if (!ParseRecord(key, *storage, &entry)) {
    return absl::DataLossError(absl::StrCat("the durable record ", ticket, " is damaged"));
  }
  return entry;
}

absl::StatusOr<SpillTicket> FindDurableTicket(SpillDatabase* database, uint64_t object_id) {
  return FindNumber(database, NumberKey(kObjectPrefix, object_id),
                    absl::StrCat("durable object ", object_id));
}

absl::StatusOr<uint64_t> FindDurableName(SpillDatabase* database, absl::string_view name) {
  return FindNumber(database, NameKey(name), absl::StrCat("name '", name, "'"));
}

namespace {

// Damage in more places than this is no accident of a few blocks.
constexpr int kDamagedRangesMax = 1000;

// Whether the index cannot be read at the ticket.
bool IsDamagedAt(SpillDatabase* database, SpillTicket ticket) {
  const auto stop = [](absl::string_view, absl::string_view) { return false; };
  return absl::IsDataLoss(database->ForEachIndexed(absl::string_view(&kRecordPrefix, 1),
                                                   NumberKey(kRecordPrefix, ticket), stop));
}

// The first ticket above `damaged` where the index can be read again, by doubling the distance and
// then halving it; kNoTicket if there is none.
SpillTicket FindReadableAfter(SpillDatabase* database, SpillTicket damaged) {
  SpillTicket bad = damaged, good = damaged;
  for (uint64_t distance = 1;; distance *= 2) {
    if (distance == 0 || damaged > UINT64_MAX - distance) return kNoTicket;
    good = damaged + distance;
    if (!IsDamagedAt(database, good)) break;
    bad = good;
  }
  while (good - bad > 1) {
    const SpillTicket middle = bad + (good - bad) / 2;
    (IsDamagedAt(database, middle) ? bad : good) = middle;
  }
  return good;
}

}  // namespace

absl::Status ForEachDurable(SpillDatabase* database,
                            const std::function<void(const DurableEntry&)>& found,
                            const std::function<void(SpillTicket, SpillTicket)>& lost) {
  SpillTicket next = kNoTicket;
  const auto take = [&](absl::string_view key, absl::string_view value) {
    next = NumberOfKey(key) + 1;
    DurableEntry entry;
    if (ParseRecord(key, value, &entry)) {
      found(entry);
    } else {
      LOG(ERROR) << "the spill database holds a damaged index entry of " << value.size()
                 << " bytes; the object it stands for is lost";
    }
    return true;
  };
  for (int ranges = 0;; ++ranges) {
    absl::Status status = database->ForEachIndexed(absl::string_view(&kRecordPrefix, 1),
                                                   NumberKey(kRecordPrefix, next), take);
    if (!absl::IsDataLoss(status) || ranges == kDamagedRangesMax) return status;
    const SpillTicket readable = FindReadableAfter(database, next);
    // Behind its last block a file is not asked; so this is one that is missing or cut short.
    if (readable == kNoTicket) return status;
    lost(next, readable - 1);
    next = readable;
  }
}

absl::Status ForEachName(SpillDatabase* database, absl::string_view prefix, absl::string_view after,
                         const std::function<bool(absl::string_view name, uint64_t id)>& found) {
  return database->ForEachIndexed(NameKey(prefix), NameKey(std::max(prefix, after)),
                                  [&](absl::string_view key, absl::string_view value) {
                                    if (!after.empty() && key.substr(1) <= after) return true;
                                    if (value.size() == kNumberBytes) {
                                      return found(key.substr(1), GetLittleEndian(value.data()));
                                    }
                                    LOG(ERROR) << "what the name '" << key.substr(1)
                                               << "' is bound to is damaged";
                                    return true;
                                  });
}

absl::StatusOr<std::vector<std::string>> FindNamesOf(SpillDatabase* database, uint64_t object_id) {
  std::vector<std::string> names;
  const std::string prefix = NumberKey(kNameOfPrefix, object_id);
  absl::Status status =
      database->ForEachIndexed(prefix, prefix, [&](absl::string_view key, absl::string_view) {
        names.emplace_back(key.substr(prefix.size()));
        return true;
      });
  if (!status.ok()) return status;
  std::erase_if(names, [&](const std::string& name) {
    const absl::StatusOr<uint64_t> bound = FindDurableName(database, name);
    return !bound.ok() || *bound != object_id;
  });
  return names;
}

}  // namespace spillway::internal
