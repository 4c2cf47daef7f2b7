// The file system fails underneath: every operation in turn, with a full disk and with an I/O
// error. Whatever fails, the error is reported, nothing written before suffers, nothing is left
// behind, and work goes on once the cause is gone.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/mutex.h"
#include "spill/rocksdb/backend_impl.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::internal::RocksDbBackend;
using ::spillway::testing::BytesBelow;
using ::spillway::testing::FilesIn;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::TypeOf;
using ::spillway::testing::WriteAll;
using ::spillway::testing::Written;
using ::testing::HasSubstr;

// Fails the nth operation after Arm, and all later ones until Disarm where it is told to.
class Saboteur {
 public:
  void Arm(uint64_t nth, rocksdb::IOStatus status, bool persist) {
    MutexLock lock(&mutex_);
    countdown_ = nth;
    status_ = std::move(status);
    persist_ = persist;
    fired_ = false;
  }
  // Whether the operation came to pass.
  bool Disarm() {
    MutexLock lock(&mutex_);
    countdown_ = 0;
    return fired_;
  }
  std::string last() {
    MutexLock lock(&mutex_);
    return last_;
  }
  rocksdb::IOStatus Ask(const char* operation, const std::string& path) {
    MutexLock lock(&mutex_);
    if (countdown_ == 0) return rocksdb::IOStatus::OK();
    if (countdown_ > 1) {
      --countdown_;
      return rocksdb::IOStatus::OK();
    }
    if (!persist_) countdown_ = 0;
    fired_ = true;
    last_ = absl::StrCat(operation, " of ", path);
    return status_;
  }

 private:
  Mutex mutex_;
  uint64_t countdown_ ABSL_GUARDED_BY(mutex_) = 0;
  bool persist_ ABSL_GUARDED_BY(mutex_) = false;
  bool fired_ ABSL_GUARDED_BY(mutex_) = false;
  std::string last_ ABSL_GUARDED_BY(mutex_);
  rocksdb::IOStatus status_ ABSL_GUARDED_BY(mutex_);
};

struct Fault {
  const char* name;
  rocksdb::IOStatus status;
  absl::StatusCode code;
  bool persist;
};

class IoFaultTest : public ::testing::TestWithParam<Fault> {
 protected:
  void Open(SpillRecovery recovery) {
    options_ = SmallRocksDbOptions(temporary_.path());
    options_.recovery = recovery;
    auto opened =
        RocksDbBackend::Open(options_, [this](const char* operation, const std::string& path) {
          return saboteur_.Ask(operation, path);
        });
    ASSERT_TRUE(opened.ok()) << opened.status();
    backend_ = *std::move(opened);
  }

  std::vector<SpillResult> TryWrite(uint64_t first_id, size_t count, size_t bytes, bool durable) {
    std::vector<std::string> payloads;
    for (size_t i = 0; i < count; ++i) payloads.push_back(RandomPayload(first_id + i, bytes));
    std::vector<SpillRecord> records;
    for (size_t i = 0; i < count; ++i) {
      records.push_back({first_id + i, TypeOf(first_id + i), payloads[i], durable});
    }
    std::vector<SpillResult> results;
    backend_->Write(records, &results);
    return results;
  }

  TemporaryDirectory temporary_;
  Saboteur saboteur_;
  RocksDbBackendOptions options_;
  std::unique_ptr<SpillBackend> backend_;
};

std::vector<Fault> Faults() {
  const rocksdb::IOStatus full = rocksdb::IOStatus::NoSpace("planted", "No space left on device");
  const rocksdb::IOStatus error = rocksdb::IOStatus::IOError("planted", "Input/output error");
  return {{"full_disk_once", full, absl::StatusCode::kResourceExhausted, false},
          {"full_disk", full, absl::StatusCode::kResourceExhausted, true},
          {"io_error_once", error, absl::StatusCode::kInternal, false},
          {"io_error", error, absl::StatusCode::kInternal, true}};
}

INSTANTIATE_TEST_SUITE_P(Faults, IoFaultTest, ::testing::ValuesIn(Faults()),
                         [](const auto& fault) { return std::string(fault.param.name); });

TEST_P(IoFaultTest, EveryStepOfAWriteMayFail) {
  for (const bool durable : {false, true}) {
    Open(durable ? SpillRecovery::kKeep : SpillRecovery::kDiscard);
    std::vector<Written> kept =
        WriteAll(backend_.get(), 1, {RandomPayload(1, 50000), RandomPayload(2, 50000)}, durable);
    uint64_t next_id = 100;
    int failed = 0;
    for (uint64_t nth = 1;; ++nth) {
      saboteur_.Arm(nth, GetParam().status, GetParam().persist);
      const std::vector<SpillResult> results = TryWrite(next_id, 6, 120000, durable);
      const bool fired = saboteur_.Disarm();
      SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", saboteur_.last()));
      for (size_t i = 0; i < results.size(); ++i) {
        if (results[i].status.ok()) {
          const Written object{next_id + i, RandomPayload(next_id + i, 120000), results[i].ticket};
          ASSERT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
          backend_->Release(results[i].ticket);
        } else {
          EXPECT_EQ(results[i].status.code(), GetParam().code) << results[i].status;
          EXPECT_EQ(results[i].ticket, kNoTicket);
        }
      }
      if (!results[0].status.ok()) ++failed;
      // Once the cause is gone, the next write succeeds, and what was there is untouched.
      const SpillResult next = TryWrite(next_id + 50, 1, 1000, durable)[0];
      ASSERT_EQ(next.status, absl::OkStatus());
      kept.push_back({next_id + 50, RandomPayload(next_id + 50, 1000), next.ticket});
      EXPECT_EQ(backend_->Health(), absl::OkStatus());
      for (const Written& object : kept) {
        ASSERT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
      }
      EXPECT_TRUE(FilesIn(temporary_.path() + "/building", "").empty());
      next_id += 100;
      if (!fired) break;
    }
    EXPECT_GT(failed, 4);
    ASSERT_TRUE(backend_->WaitForReclaim(20000));
    EXPECT_EQ(backend_->Usage().live_records, kept.size());
    EXPECT_LT(backend_->Usage().held_bytes, 300000u);
    // No space leaks: what failed is not on disk.
    EXPECT_TRUE(testing::Eventually([&] {
      return BytesBelow(temporary_.path()) < uint64_t{1} << 20;
    })) << BytesBelow(temporary_.path());
    ASSERT_EQ(backend_->Close(), absl::OkStatus());
    backend_.reset();
    if (!durable) continue;
    Open(SpillRecovery::kKeep);
    for (const Written& object : kept) {
      EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
    }
    EXPECT_EQ(backend_->Usage().live_records, kept.size());
    EXPECT_EQ(backend_->Usage().damaged_records, 0u);
    backend_.reset();
  }
}

TEST_P(IoFaultTest, EveryStepOfReclaimMayFail) {
  for (uint64_t nth = 1; nth < 60; ++nth) {
    Open(SpillRecovery::kDiscard);
    std::vector<std::string> payloads(20, RandomPayload(1, 50000));
    const std::vector<Written> dead = WriteAll(backend_.get(), 1, payloads);
    const std::vector<Written> live = WriteAll(backend_.get(), 101, payloads);
    saboteur_.Arm(nth, GetParam().status, GetParam().persist);
    for (const Written& object : dead) backend_->Release(object.ticket);
    backend_->WaitForReclaim(20);
    const bool fired = saboteur_.Disarm();
    for (const Written& object : live) {
      ASSERT_EQ(ReadBack(backend_.get(), object), absl::OkStatus()) << saboteur_.last();
    }
    EXPECT_TRUE(backend_->WaitForReclaim(20000));
    EXPECT_EQ(backend_->Usage().batches_dropped, 1u);
    backend_.reset();
    if (!fired) break;
  }
}

TEST_P(IoFaultTest, AReadThatFailsMayBeTriedAgain) {
  Open(SpillRecovery::kDiscard);
  const std::vector<Written> objects =
      WriteAll(backend_.get(), 1, {RandomPayload(1, 300000), RandomPayload(2, 100)});
  for (uint64_t nth = 1; nth < 20; ++nth) {
    saboteur_.Arm(nth, rocksdb::IOStatus::IOError("planted", "Input/output error"),
                  GetParam().persist);
    for (const Written& object : objects) {
      const absl::Status status = ReadBack(backend_.get(), object);
      EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInternal) << status;
    }
    const bool fired = saboteur_.Disarm();
    for (const Written& object : objects) {
      ASSERT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
    }
    if (!fired) break;
  }
  EXPECT_EQ(backend_->Usage().damaged_records, 0u);
}

class SpaceTest : public ::testing::Test {
 protected:
  void Open(const std::function<void(RocksDbBackendOptions*)>& set) {
    RocksDbBackendOptions options = SmallRocksDbOptions(temporary_.path());
    set(&options);
    auto opened = OpenRocksDbBackend(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    backend_ = *std::move(opened);
  }
  SpillResult TryWrite(uint64_t id, size_t bytes) {
    const std::string payload = RandomPayload(id, bytes);
    const SpillRecord record{id, TypeOf(id), payload, false};
    std::vector<SpillResult> results;
    backend_->Write({&record, 1}, &results);
    return results[0];
  }
  TemporaryDirectory temporary_;
  std::unique_ptr<SpillBackend> backend_;
};

TEST_F(SpaceTest, TheSpillLimitIsKeptAndNamedAndLeftBehind) {
  Open([](auto* o) { o->spill_limit_bytes = 3 << 20; });
  std::vector<SpillTicket> tickets;
  SpillResult result;
  for (uint64_t id = 1; id < 20; ++id) {
    result = TryWrite(id, 500000);
    if (!result.status.ok()) break;
    tickets.push_back(result.ticket);
  }
  EXPECT_EQ(tickets.size(), 6u);
  EXPECT_TRUE(absl::IsResourceExhausted(result.status));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("spill limit of 3145728 bytes"));
  EXPECT_TRUE(absl::IsResourceExhausted(backend_->Health()));
  EXPECT_LE(backend_->Usage().held_bytes_peak, uint64_t{3} << 20);
  backend_->Release(tickets[0]);
  EXPECT_EQ(TryWrite(100, 500000).status, absl::OkStatus());
  EXPECT_EQ(backend_->Health(), absl::OkStatus());
}

TEST_F(SpaceTest, TheReserveOfFreeSpaceIsKept) {
  Open([](auto* o) { o->free_space_reserve_bytes = uint64_t{1} << 60; });
  const SpillResult result = TryWrite(1, 1000);
  EXPECT_TRUE(absl::IsResourceExhausted(result.status));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("the disk is full"));
  EXPECT_TRUE(absl::IsResourceExhausted(backend_->Health()));
}

}  // namespace
}  // namespace spillway
