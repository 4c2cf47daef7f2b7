#include "tests/spill/spill_test_util.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "gtest/gtest.h"

namespace spillway::testing {

namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  std::string name = absl::StrCat(::testing::TempDir(), "/spill-XXXXXX");
  CHECK(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string RandomPayload(uint64_t object_id, size_t bytes) {
  std::string payload(bytes + 8, '\0');
  uint64_t state = object_id * 0x9E3779B97F4A7C15u + bytes;
  for (size_t i = 0; i < bytes; i += 8) {
    state ^= state << 13;  // xorshift64
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(payload.data() + i, &state, 8);
  }
  payload.resize(bytes);
  return payload;
}

std::string CompressiblePayload(uint64_t object_id, size_t bytes) {
  std::string payload;
  while (payload.size() < bytes) absl::StrAppend(&payload, "object ", object_id, " says hello; ");
  payload.resize(bytes);
  return payload;
}

ObjectType TypeOf(uint64_t object_id) {
  ObjectType type;
  type.type_id = object_id % 3 * 1000;
  type.fingerprint = object_id % 3 * 77;
  type.encoding = static_cast<Encoding>(object_id % 3);
  return type;
}

std::vector<Written> WriteAll(SpillBackend* backend, uint64_t first_id,
                              std::vector<std::string> payloads, bool durable) {
  std::vector<Written> objects;
  std::vector<SpillRecord> records;
  for (std::string& payload : payloads) {
    Written object;
    object.object_id = first_id + objects.size();
    object.payload = std::move(payload);
    objects.push_back(std::move(object));
  }
  for (const Written& object : objects) {
    SpillRecord record;
    record.object_id = object.object_id;
    record.type = TypeOf(object.object_id);
    record.payload = object.payload;
    record.durable = durable;
    records.push_back(record);
  }
  std::vector<SpillResult> results;
  backend->Write(records, &results);
  CHECK_EQ(results.size(), records.size());
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_NE(results[i].ticket, kNoTicket);
    objects[i].ticket = results[i].ticket;
  }
  return objects;
}

Written WriteOne(SpillBackend* backend, uint64_t object_id, std::string payload, bool durable) {
  std::vector<std::string> payloads;
  payloads.push_back(std::move(payload));
  return WriteAll(backend, object_id, std::move(payloads), durable).front();
}

absl::Status ReadBack(SpillBackend* backend, const Written& object) {
  std::string bytes(object.payload.size(), '?');
  SpillRead read;
  read.ticket = object.ticket;
  read.object_id = object.object_id;
  read.type = TypeOf(object.object_id);
  read.out = absl::MakeSpan(bytes);
  std::vector<absl::Status> statuses;
  backend->Read({&read, 1}, &statuses);
  CHECK_EQ(statuses.size(), 1u);
  if (statuses[0].ok()) {
    EXPECT_TRUE(bytes == object.payload) << "object " << object.object_id << " came back changed";
  }
  return statuses[0];
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

RocksDbBackendOptions SmallRocksDbOptions(const std::string& directory) {
  RocksDbBackendOptions options;
  options.spill_directory = directory;
  options.max_batch_bytes = 1 << 20;
  options.memory_budget_bytes = 4 << 20;
  options.chunk_bytes = 64 << 10;
  options.reader_threads = 3;
  options.free_space_reserve_bytes = 0;
  return options;
}

std::vector<std::string> FilesIn(const std::string& path, absl::string_view ending) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (absl::EndsWith(entry.path().string(), ending)) names.push_back(entry.path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t BytesBelow(const std::string& path) {
  uint64_t sum = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    std::error_code error;  // a file may go at any moment
    const uint64_t bytes = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    if (!error) sum += bytes;
  }
  return sum;
}

bool ContainsBytes(const std::string& path, absl::string_view bytes) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    std::error_code error;
    if (!entry.is_regular_file(error)) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string contents((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
    if (absl::StrContains(contents, bytes)) return true;
  }
  return false;
}

void FlipBit(const std::string& file, uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  CHECK(stream.is_open()) << file;
  stream.seekg(static_cast<std::streamoff>(offset));
  char byte = 0;
  stream.get(byte);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(byte ^ 4));
  CHECK(stream.good()) << file;
}

}  // namespace spillway::testing
