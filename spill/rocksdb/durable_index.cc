#include "spill/rocksdb/durable_index.h"

#include <string>

#include "absl/strings/string_view.h"
#include "glog/logging.h"

namespace spillway::internal {
namespace {

constexpr char kPrefix = 'o';
constexpr size_t kKeyBytes = 9;
constexpr size_t kValueBytes = kRecordHeaderBytes + 8;

std::string Key(SpillTicket ticket) {
  std::string key(kKeyBytes, kPrefix);
  for (size_t i = 0; i < 8; ++i) key[1 + i] = static_cast<char>(ticket >> (56 - 8 * i));
  return key;
}

bool Parse(absl::string_view key, absl::string_view value, DurableEntry* entry) {
  if (key.size() != kKeyBytes || value.size() != kValueBytes) return false;
  entry->ticket = 0;
  entry->disk_bytes = 0;
  for (size_t i = 1; i < kKeyBytes; ++i) {
    entry->ticket = entry->ticket << 8 | static_cast<uint8_t>(key[i]);
  }
  for (size_t i = kValueBytes; i-- > kRecordHeaderBytes;) {
    entry->disk_bytes = entry->disk_bytes << 8 | static_cast<uint8_t>(value[i]);
  }
  return DecodeRecordHeaderOnly(value, &entry->header).ok();
}

}  // namespace

void PutDurable(const DurableEntry& entry, rocksdb::WriteBatch* update) {
  std::string value(kValueBytes, '\0');
  EncodeRecordHeader(entry.header, value.data());
  for (size_t i = 0; i < 8; ++i) {
    value[kRecordHeaderBytes + i] = static_cast<char>(entry.disk_bytes >> (8 * i));
  }
  update->Put(Key(entry.ticket), value);
}

void DeleteDurable(SpillTicket ticket, rocksdb::WriteBatch* update) { update->Delete(Key(ticket)); }

absl::Status ForEachDurable(SpillDatabase* database,
                            const std::function<void(const DurableEntry&)>& found) {
  return database->ForEachIndexed(
      absl::string_view(&kPrefix, 1), [&](absl::string_view key, absl::string_view value) {
        DurableEntry entry;
        if (Parse(key, value, &entry)) {
          found(entry);
        } else {
          LOG(ERROR) << "the spill database holds a damaged index entry of " << value.size()
                     << " bytes; the object it stands for is lost";
        }
        return true;
      });
}

}  // namespace spillway::internal
