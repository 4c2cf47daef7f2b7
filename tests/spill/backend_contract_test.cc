// What every spill backend does, whatever lies behind it: the contract of spill_backend.h, method
// by method.
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/fault_backend.h"
#include "spill/memory_backend.h"
#include "spill/rocksdb_backend.h"
#include "spill/spill_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::testing::CompressiblePayload;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::TypeOf;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;

struct Variant {
  const char* name;
  std::function<std::unique_ptr<SpillBackend>(const std::string& directory)> open;
};

std::unique_ptr<SpillBackend> OpenRocksDb(const std::string& directory,
                                          const std::function<void(RocksDbBackendOptions*)>& set) {
  RocksDbBackendOptions options = SmallRocksDbOptions(directory);
  set(&options);
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  return backend.ok() ? *std::move(backend) : nullptr;
}

std::vector<Variant> Variants() {
  return {
      {"memory", [](const std::string&) { return NewMemoryBackend({.max_batch_bytes = 1 << 20}); }},
      {"fault_over_memory",
       [](const std::string&) { return std::make_unique<FaultBackend>(NewMemoryBackend()); }},
      {"fault_over_rocksdb",
       [](const std::string& d) {
         return std::make_unique<FaultBackend>(OpenRocksDb(d, [](auto*) {}));
       }},
      {"rocksdb", [](const std::string& d) { return OpenRocksDb(d, [](auto*) {}); }},
      {"rocksdb_buffered",
       [](const std::string& d) { return OpenRocksDb(d, [](auto* o) { o->direct_io = false; }); }},
      {"rocksdb_lz4",
       [](const std::string& d) {
         return OpenRocksDb(d, [](auto* o) { o->compression = SpillCompression::kLz4; });
       }},
      {"rocksdb_zstd",
       [](const std::string& d) {
         return OpenRocksDb(d, [](auto* o) { o->compression = SpillCompression::kZstd; });
       }},
      {"rocksdb_keep",
       [](const std::string& d) {
         return OpenRocksDb(d, [](auto* o) { o->recovery = SpillRecovery::kKeep; });
       }},
      {"rocksdb_alone",
       [](const std::string& d) { return OpenRocksDb(d, [](auto* o) { o->reader_threads = 0; }); }},
  };
}

class BackendContractTest : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    backend_ = GetParam().open(directory_.path());
    ASSERT_NE(backend_, nullptr);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<SpillBackend> backend_;
};

INSTANTIATE_TEST_SUITE_P(Backends, BackendContractTest, ::testing::ValuesIn(Variants()),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST_P(BackendContractTest, WhatWasWrittenIsReadBackBitForBit) {
  // Around nothing, the block, the chunk and the batch size.
  const std::vector<size_t> sizes = {0,     1,     63,    64,     100,     4095,          4096,
                                     65535, 65536, 65537, 200000, 1 << 20, (1 << 20) + 1, 3 << 20};
  std::vector<std::string> payloads;
  for (size_t size : sizes) {
    payloads.push_back(RandomPayload(payloads.size() + 1, size));
    payloads.push_back(CompressiblePayload(payloads.size() + 1, size));
  }
  for (const Written& object : WriteAll(backend_.get(), 1, payloads)) {
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus()) << object.payload.size();
  }
}

TEST_P(BackendContractTest, ManyRecordsAreReadTogetherInAnyOrder) {
  std::vector<std::string> payloads;
  for (size_t i = 0; i < 500; ++i) payloads.push_back(RandomPayload(i + 1, i * 37 % 5000));
  std::vector<Written> objects = WriteAll(backend_.get(), 1, payloads);
  std::vector<std::string> out(objects.size());
  std::vector<SpillRead> reads(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    const Written& object = objects[i * 331 % objects.size()];
    out[i].resize(object.payload.size());
    reads[i].ticket = object.ticket;
    reads[i].object_id = object.object_id;
    reads[i].type = TypeOf(object.object_id);
    reads[i].out = absl::MakeSpan(out[i]);
  }
  std::vector<absl::Status> statuses;
  backend_->Read(reads, &statuses);
  ASSERT_EQ(statuses.size(), objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    EXPECT_EQ(statuses[i], absl::OkStatus());
    EXPECT_TRUE(out[i] == objects[i * 331 % objects.size()].payload);
  }
}

TEST_P(BackendContractTest, TicketsAreNeverNoneAndNeverTheSame) {
  SpillTicket last = kNoTicket;
  for (uint64_t round = 0; round < 3; ++round) {
    for (const Written& object : WriteAll(backend_.get(), round * 10 + 1, {"a", "b", "c"})) {
      EXPECT_GT(object.ticket, last);
      last = object.ticket;
      backend_->Release(object.ticket);
    }
  }
}

TEST_P(BackendContractTest, AnEmptyWriteAndAnEmptyReadDoNothing) {
  std::vector<SpillResult> results(3);
  backend_->Write({}, &results);
  EXPECT_TRUE(results.empty());
  std::vector<absl::Status> statuses(3);
  backend_->Read({}, &statuses);
  EXPECT_TRUE(statuses.empty());
}

TEST_P(BackendContractTest, ReleasedAndUnknownTicketsAreNotFound) {
  std::vector<Written> objects = WriteAll(backend_.get(), 1, {"one", "two", "three"});
  backend_->Release(objects[1].ticket);
  EXPECT_EQ(ReadBack(backend_.get(), objects[0]), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(ReadBack(backend_.get(), objects[1])));
  EXPECT_EQ(ReadBack(backend_.get(), objects[2]), absl::OkStatus());
  Written unknown = objects[0];
  for (SpillTicket ticket : {kNoTicket, objects[2].ticket + 1, ~SpillTicket{0}}) {
    unknown.ticket = ticket;
    EXPECT_TRUE(absl::IsNotFound(ReadBack(backend_.get(), unknown))) << ticket;
  }
}

TEST_P(BackendContractTest, ReleasingTwiceOrTheUnknownIsIgnored) {
  std::vector<Written> objects = WriteAll(backend_.get(), 1, {"one", "two"});
  backend_->Release(objects[0].ticket);
  backend_->Release(objects[0].ticket);
  backend_->Release(kNoTicket);
  backend_->Release(objects[1].ticket + 1000);
  EXPECT_EQ(backend_->Usage().live_records, 1u);
  EXPECT_EQ(ReadBack(backend_.get(), objects[1]), absl::OkStatus());
}

TEST_P(BackendContractTest, ARecordThatIsNotTheOneAskedForIsDataLoss) {
  const std::vector<Written> objects =
      WriteAll(backend_.get(), 1, {RandomPayload(1, 1000), RandomPayload(2, 1000)});
  Written wrong_id = objects[0];
  wrong_id.object_id = 4;  // of the same type
  EXPECT_TRUE(absl::IsDataLoss(ReadBack(backend_.get(), wrong_id)));
  Written wrong_type = objects[0];
  wrong_type.object_id = 2;
  EXPECT_TRUE(absl::IsDataLoss(ReadBack(backend_.get(), wrong_type)));
  for (size_t size : {0, 999, 1001, 70000, 5000000}) {
    Written wrong_size = objects[0];
    wrong_size.payload.resize(size);
    const absl::Status status = ReadBack(backend_.get(), wrong_size);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("object 1"));
  }
  EXPECT_EQ(backend_->Usage().damaged_records, 7u);
  EXPECT_EQ(ReadBack(backend_.get(), objects[0]), absl::OkStatus());
}

TEST_P(BackendContractTest, UsageFollowsWritesReadsAndReleases) {
  const std::vector<Written> objects =
      WriteAll(backend_.get(), 1, {RandomPayload(1, 100000), RandomPayload(2, 50000)});
  SpillUsage usage = backend_->Usage();
  EXPECT_EQ(usage.live_records, 2u);
  EXPECT_EQ(usage.written_bytes, 150000u);
  EXPECT_EQ(usage.batches_written, 1u);
  EXPECT_GE(usage.live_bytes, 150000u);
  EXPECT_LT(usage.live_bytes, 160000u);
  EXPECT_GE(usage.held_bytes, 150000u);
  EXPECT_GE(usage.held_bytes_peak, usage.held_bytes);
  EXPECT_GE(usage.device_written_bytes, 150000u);
  EXPECT_EQ(ReadBack(backend_.get(), objects[1]), absl::OkStatus());
  EXPECT_EQ(backend_->Usage().read_bytes, 50000u);
  backend_->Release(objects[0].ticket);
  EXPECT_LT(backend_->Usage().live_bytes, 60000u);
  backend_->Release(objects[1].ticket);
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  usage = backend_->Usage();
  EXPECT_EQ(usage.live_records, 0u);
  EXPECT_EQ(usage.live_bytes, 0u);
  EXPECT_EQ(usage.held_bytes, 0u);
  EXPECT_GE(usage.held_bytes_peak, 150000u);
}

TEST_P(BackendContractTest, ScanListsLiveDurableRecordsInTicketOrder) {
  const std::vector<Written> first =
      WriteAll(backend_.get(), 1, {"one", "two", RandomPayload(3, 200000)}, /*durable=*/true);
  const std::vector<Written> second = WriteAll(backend_.get(), 4, {"four"}, /*durable=*/true);
  backend_->Release(first[1].ticket);
  ASSERT_TRUE(backend_->WaitForReclaim(10000));
  std::vector<SpillScanEntry> found;
  ASSERT_EQ(backend_->Scan([&](const SpillScanEntry& entry) { found.push_back(entry); }),
            absl::OkStatus());
  ASSERT_EQ(found.size(), 3u);
  const std::vector<Written> expected = {first[0], first[2], second[0]};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].ticket, expected[i].ticket);
    EXPECT_EQ(found[i].object_id, expected[i].object_id);
    EXPECT_EQ(found[i].type, TypeOf(expected[i].object_id));
    EXPECT_EQ(found[i].payload_bytes, expected[i].payload.size());
    EXPECT_TRUE(found[i].durable);
    EXPECT_EQ(ReadBack(backend_.get(), expected[i]), absl::OkStatus());
  }
}

TEST_P(BackendContractTest, ObjectIdsAreReservedOnceOnly) {
  absl::StatusOr<uint64_t> first = backend_->ReserveObjectIds(1000);
  absl::StatusOr<uint64_t> second = backend_->ReserveObjectIds(1);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_GT(*first, 0u);
  EXPECT_GE(*second, *first + 1000);
}

TEST_P(BackendContractTest, AfterCloseEverythingIsUnavailable) {
  const Written object = WriteOne(backend_.get(), 1, "bytes");
  EXPECT_EQ(backend_->Close(), absl::OkStatus());
  EXPECT_EQ(backend_->Close(), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(ReadBack(backend_.get(), object)));
  SpillRecord record;
  record.object_id = 2;
  std::vector<SpillResult> results;
  backend_->Write({&record, 1}, &results);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(results[0].status));
  EXPECT_EQ(results[0].ticket, kNoTicket);
  EXPECT_TRUE(absl::IsUnavailable(backend_->Health()));
  EXPECT_TRUE(absl::IsUnavailable(backend_->Scan([](const SpillScanEntry&) {})));
  backend_->Release(object.ticket);
  backend_->Usage();
  backend_->WaitForReclaim(1);
}

TEST_P(BackendContractTest, ManyThreadsWriteReadAndReleaseAtOnce) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 12;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Written> mine;
      for (int round = 0; round < kRounds; ++round) {
        std::vector<std::string> payloads;
        const uint64_t first_id = static_cast<uint64_t>(t * 1000000 + round * 1000 + 1);
        for (uint64_t i = 0; i < 20; ++i) {
          payloads.push_back(RandomPayload(first_id + i, (i * 7919 + first_id) % 20000));
        }
        for (Written& object : WriteAll(backend_.get(), first_id, payloads)) {
          mine.push_back(std::move(object));
        }
        for (size_t i = 0; i < mine.size(); i += 3) {
          EXPECT_EQ(ReadBack(backend_.get(), mine[i]), absl::OkStatus());
        }
        // The oldest go; the younger ones stay for a few rounds.
        while (mine.size() > 50) {
          backend_->Release(mine.front().ticket);
          mine.erase(mine.begin());
        }
      }
      for (const Written& object : mine) {
        EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
        backend_->Release(object.ticket);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_EQ(backend_->Usage().live_records, 0u);
  EXPECT_EQ(backend_->Usage().held_bytes, 0u);
}

}  // namespace
}  // namespace spillway
