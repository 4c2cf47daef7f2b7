// Helpers of the tests of the spill tier.
#ifndef SPILLWAY_TESTS_SPILL_SPILL_TEST_UTIL_H_
#define SPILLWAY_TESTS_SPILL_SPILL_TEST_UTIL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "spill/rocksdb_backend.h"
#include "spill/spill_backend.h"

namespace spillway::testing {

// A directory that goes away with the object, contents included.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Bytes that follow from the object id and cannot be compressed.
std::string RandomPayload(uint64_t object_id, size_t bytes);
// Bytes that follow from the object id and compress well.
std::string CompressiblePayload(uint64_t object_id, size_t bytes);

// The type that the tests give to an object.
ObjectType TypeOf(uint64_t object_id);

// An object that was written, for reading it back.
struct Written {
  uint64_t object_id = 0;
  std::string payload;
  SpillTicket ticket = kNoTicket;
};

// Writes the payloads as objects first_id, first_id + 1, ... in one call; every write must succeed.
std::vector<Written> WriteAll(SpillBackend* backend, uint64_t first_id,
                              std::vector<std::string> payloads, bool durable = false);
Written WriteOne(SpillBackend* backend, uint64_t object_id, std::string payload,
                 bool durable = false);

// Reads the object into fresh memory. The bytes are compared with what was written, unless the
// status is an error.
absl::Status ReadBack(SpillBackend* backend, const Written& object);

// Waits until `condition` holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

// Small batches and chunks, so that little data goes through every path.
RocksDbBackendOptions SmallRocksDbOptions(const std::string& directory);

// Names of the files at `path`, with the given ending; sorted.
std::vector<std::string> FilesIn(const std::string& path, absl::string_view ending);
// Bytes of all files below `path`.
uint64_t BytesBelow(const std::string& path);
// Whether any file below `path` contains `bytes`.
bool ContainsBytes(const std::string& path, absl::string_view bytes);
void FlipBit(const std::string& file, uint64_t offset);

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SPILL_SPILL_TEST_UTIL_H_
