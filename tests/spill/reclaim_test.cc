// Space that comes back: whole files dropped, live records copied forward, on real files.
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "serialization/mutex.h"
#include "spill/rocksdb_backend.h"
#include "spill/spill_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::testing::BytesBelow;
using ::spillway::testing::ContainsBytes;
using ::spillway::testing::FilesIn;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;

// Stands in for the store: knows where each object lies now.
class Directory final : public RelocationListener {
 public:
  void Hold(const Written& object) {
    MutexLock lock(&mutex_);
    tickets_[object.object_id] = object.ticket;
  }
  SpillTicket Find(uint64_t object_id) {
    MutexLock lock(&mutex_);
    return tickets_.at(object_id);
  }
  SpillTicket Forget(uint64_t object_id) {
    MutexLock lock(&mutex_);
    const SpillTicket ticket = tickets_.at(object_id);
    tickets_.erase(object_id);
    return ticket;
  }
  void RefuseAll() {
    MutexLock lock(&mutex_);
    refuse_ = true;
  }
  int moved() {
    MutexLock lock(&mutex_);
    return moved_;
  }
  int refused() {
    MutexLock lock(&mutex_);
    return refused_;
  }

  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override {
    MutexLock lock(&mutex_);
    const auto held = tickets_.find(object_id);
    if (refuse_ || held == tickets_.end() || held->second != from) {
      ++refused_;
      return false;
    }
    ++moved_;
    held->second = to;
    return true;
  }

 private:
  Mutex mutex_;
  std::map<uint64_t, SpillTicket> tickets_ ABSL_GUARDED_BY(mutex_);
  bool refuse_ ABSL_GUARDED_BY(mutex_) = false;
  int moved_ ABSL_GUARDED_BY(mutex_) = 0;
  int refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ReclaimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<SpillBackend>> opened =
        OpenRocksDbBackend(SmallRocksDbOptions(temporary_.path()));
    ASSERT_TRUE(opened.ok()) << opened.status();
    backend_ = *std::move(opened);
  }

  std::vector<std::string> SstFiles() { return FilesIn(temporary_.path() + "/db", ".sst"); }

  // A batch of 32 objects of 32 KiB.
  std::vector<Written> WriteBatch(uint64_t first_id) {
    std::vector<std::string> payloads;
    for (uint64_t i = 0; i < 32; ++i) payloads.push_back(RandomPayload(first_id + i, 32 << 10));
    std::vector<Written> objects = WriteAll(backend_.get(), first_id, payloads);
    for (const Written& object : objects) directory_.Hold(object);
    return objects;
  }

  TemporaryDirectory temporary_;
  Directory directory_;
  std::unique_ptr<SpillBackend> backend_;
};

TEST_F(ReclaimTest, AFileGoesWhenItsLastRecordIsReleased) {
  const std::vector<Written> first = WriteBatch(1);
  const std::vector<Written> second = WriteBatch(101);
  EXPECT_EQ(SstFiles().size(), 2u);
  for (size_t i = 0; i + 1 < first.size(); ++i) backend_->Release(first[i].ticket);
  ASSERT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_EQ(SstFiles().size(), 2u);
  backend_->Release(first.back().ticket);
  ASSERT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_TRUE(testing::Eventually([&] { return SstFiles().size() == 1; }));
  EXPECT_EQ(backend_->Usage().batches_dropped, 1u);
  for (const Written& object : second)
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
}

TEST_F(ReclaimTest, NoPayloadBytesAreLeftTwoSecondsAfterTheLastRelease) {
  const std::string payload = RandomPayload(7, 300000);
  std::vector<Written> objects = WriteBatch(1);
  objects.push_back(WriteOne(backend_.get(), 7000, payload));
  ASSERT_TRUE(ContainsBytes(temporary_.path(), payload.substr(1000, 64)));
  for (const Written& object : objects) backend_->Release(object.ticket);
  const absl::Time released = absl::Now();
  EXPECT_TRUE(testing::Eventually(
      [&] { return !ContainsBytes(temporary_.path(), payload.substr(1000, 64)); }));
  EXPECT_LE(absl::Now() - released, absl::Seconds(2));
  EXPECT_TRUE(testing::Eventually([&] { return BytesBelow(temporary_.path()) < 200000u; }));
}

TEST_F(ReclaimTest, LiveRecordsAreCopiedForwardWhenTooMuchIsDead) {
  backend_->SetRelocationListener(&directory_);
  std::vector<Written> live;
  for (uint64_t batch = 0; batch < 8; ++batch) {
    for (const Written& object : WriteBatch(1 + batch * 100)) {
      if (object.object_id % 8 == 0) {
        live.push_back(object);
      } else {
        backend_->Release(directory_.Forget(object.object_id));
      }
    }
  }
  ASSERT_TRUE(backend_->WaitForReclaim(10000));
  const SpillUsage usage = backend_->Usage();
  EXPECT_LE(usage.held_bytes, usage.live_bytes * 7 / 4 + 2 * backend_->max_batch_bytes());
  EXPECT_GT(directory_.moved(), 0);
  EXPECT_EQ(usage.live_records, live.size());
  for (Written& object : live) {
    object.ticket = directory_.Find(object.object_id);
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  }
}

TEST_F(ReclaimTest, ACopyThatTheStoreRefusesIsReleased) {
  backend_->SetRelocationListener(&directory_);
  directory_.RefuseAll();
  std::vector<Written> live;
  for (uint64_t batch = 0; batch < 6; ++batch) {
    for (const Written& object : WriteBatch(1 + batch * 100)) {
      if (object.object_id % 8 == 0) {
        live.push_back(object);
      } else {
        backend_->Release(object.ticket);
      }
    }
  }
  EXPECT_TRUE(testing::Eventually([&] { return directory_.refused() > 0; }));
  // What the store keeps by its old ticket stays readable by it.
  for (const Written& object : live) {
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  }
  for (const Written& object : live) backend_->Release(object.ticket);
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_EQ(backend_->Usage().live_records, 0u);
  EXPECT_EQ(backend_->Usage().held_bytes, 0u);
}

TEST_F(ReclaimTest, ASteadyChurnHoldsLittleMoreThanWhatIsLive) {
  backend_->SetRelocationListener(&directory_);
  std::mt19937_64 random(1);
  std::vector<uint64_t> live;
  std::map<uint64_t, std::string> payloads;
  uint64_t next_id = 1;
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> batch;
    const uint64_t first_id = next_id;
    for (int i = 0; i < 40; ++i, ++next_id) {
      batch.push_back(RandomPayload(next_id, 1000 + random() % 50000));
      payloads[next_id] = batch.back();
      live.push_back(next_id);
    }
    for (const Written& object : WriteAll(backend_.get(), first_id, batch)) directory_.Hold(object);
    while (live.size() > 200) {
      const size_t victim = random() % live.size();
      backend_->Release(directory_.Forget(live[victim]));
      payloads.erase(live[victim]);
      live[victim] = live.back();
      live.pop_back();
    }
    if (round % 10 != 9) continue;
    ASSERT_TRUE(backend_->WaitForReclaim(10000));
    const SpillUsage usage = backend_->Usage();
    EXPECT_LE(usage.held_bytes, usage.live_bytes * 7 / 4 + 2 * backend_->max_batch_bytes());
    for (uint64_t id : live) {
      Written object{id, payloads[id], directory_.Find(id)};
      EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
    }
  }
  const SpillUsage usage = backend_->Usage();
  EXPECT_LT(usage.device_written_bytes, usage.written_bytes * 2);
}

}  // namespace
}  // namespace spillway
