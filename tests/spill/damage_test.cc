// Damage on disk, done to real files: it is found, it is named, and nothing else suffers.
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/durable_state.h"
#include "spill/rocksdb_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using ::spillway::testing::FilesIn;
using ::spillway::testing::FlipBit;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::WriteAll;
using ::spillway::testing::Written;
using ::testing::HasSubstr;

class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    RocksDbBackendOptions options = SmallRocksDbOptions(temporary_.path());
    options.recovery = SpillRecovery::kKeep;
    absl::StatusOr<std::unique_ptr<SpillBackend>> opened = OpenRocksDbBackend(options);
    status_ = opened.status();
    if (opened.ok()) backend_ = *std::move(opened);
  }
  // Closes, does something to the files, opens again.
  void Reopen(const std::function<void()>& meanwhile) {
    backend_.reset();
    meanwhile();
    Open();
  }

  // A durable batch of eight objects of 50 kB.
  std::vector<Written> WriteBatch(uint64_t first_id) {
    std::vector<std::string> payloads;
    for (uint64_t i = 0; i < 8; ++i) payloads.push_back(RandomPayload(first_id + i, 50000));
    return WriteAll(backend_.get(), first_id, payloads, /*durable=*/true);
  }

  // The file that holds the object, and where its payload begins in it.
  std::pair<std::string, uint64_t> Find(const Written& object) {
    for (const std::string& file : FilesIn(temporary_.path() + "/db", ".sst")) {
      std::ifstream stream(file, std::ios::binary);
      const std::string contents((std::istreambuf_iterator<char>(stream)),
                                 std::istreambuf_iterator<char>());
      const size_t at = contents.find(object.payload.substr(0, 100));
      if (at != std::string::npos) return {file, at};
    }
    ADD_FAILURE() << "no file holds object " << object.object_id;
    return {"", 0};
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<SpillBackend> backend_;
  absl::Status status_;
};

TEST_F(DamageTest, AFlippedBitCostsOneObject) {
  const std::vector<Written> objects = WriteBatch(1);
  const auto [file, offset] = Find(objects[3]);
  FlipBit(file, offset + 30000);
  for (const Written& object : objects) {
    const absl::Status status = ReadBack(backend_.get(), object);
    if (object.object_id != objects[3].object_id) {
      EXPECT_EQ(status, absl::OkStatus());
      continue;
    }
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("object 4"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(fs::path(file).filename().string()));
  }
  EXPECT_EQ(backend_->Usage().damaged_records, 1u);
  EXPECT_EQ(backend_->Health(), absl::OkStatus());
}

TEST_F(DamageTest, AFlippedBitInAnEnvelopeCostsOneObject) {
  const std::vector<Written> objects = WriteBatch(1);
  const auto [file, offset] = Find(objects[5]);
  FlipBit(file, offset - 40);
  for (const Written& object : objects) {
    EXPECT_EQ(absl::IsDataLoss(ReadBack(backend_.get(), object)), object.object_id == 6);
  }
}

TEST_F(DamageTest, ATruncatedFileCostsItsOwnObjects) {
  const std::vector<Written> first = WriteBatch(1);
  const std::vector<Written> second = WriteBatch(11);
  const auto [file, offset] = Find(first[4]);
  Reopen([&, &cut = file, at = offset] { fs::resize_file(cut, at); });
  ASSERT_EQ(status_, absl::OkStatus());
  for (const Written& object : first) {
    const absl::Status status = ReadBack(backend_.get(), object);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  }
  for (const Written& object : second)
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
}

TEST_F(DamageTest, AFileTruncatedWhileItIsOpenCostsWhatWasBehindTheCut) {
  const std::vector<Written> objects = WriteBatch(1);
  EXPECT_EQ(ReadBack(backend_.get(), objects[0]), absl::OkStatus());
  const auto [file, offset] = Find(objects[4]);
  fs::resize_file(file, offset);
  for (const Written& object : objects) {
    const absl::Status status = ReadBack(backend_.get(), object);
    if (object.object_id < 5) {
      EXPECT_EQ(status, absl::OkStatus());
    } else {
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    }
  }
}

TEST_F(DamageTest, AMissingFileCostsItsOwnObjects) {
  const std::vector<Written> first = WriteBatch(1);
  const std::vector<Written> second = WriteBatch(11);
  const std::string file = Find(first[0]).first;
  Reopen([&] { fs::remove(file); });
  ASSERT_EQ(status_, absl::OkStatus());
  for (const Written& object : first) {
    const absl::Status status = ReadBack(backend_.get(), object);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  }
  for (const Written& object : second)
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  // Work goes on, and what is damaged can be given up.
  WriteBatch(21);
  for (const Written& object : first) backend_->Release(object.ticket);
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
}

TEST_F(DamageTest, AFileThatGoesWhileItIsInUseCostsNoOtherObject) {
  const std::vector<Written> first = WriteBatch(1);
  const std::vector<Written> second = WriteBatch(11);
  fs::remove(Find(first[0]).first);
  for (const Written& object : first) {
    // What the process has open it can read still.
    const absl::Status status = ReadBack(backend_.get(), object);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
  }
  for (const Written& object : second) {
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  }
  WriteBatch(21);
  for (const Written& object : first) backend_->Release(object.ticket);
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
}

// Small durable records, which stand in the index; after a compaction in a file of it.
std::vector<Written> WriteIndexed(SpillBackend* backend, uint64_t first_id) {
  std::vector<std::string> payloads;
  for (uint64_t i = 0; i < 40; ++i) payloads.push_back(RandomPayload(first_id + i, 1000));
  return WriteAll(backend, first_id, payloads, /*durable=*/true);
}

TEST_F(DamageTest, AFlippedBitInTheIndexCostsWhatStandsInItsBlock) {
  const std::vector<Written> large = WriteBatch(1);
  const std::vector<Written> objects = WriteIndexed(backend_.get(), 100);
  Reopen([] {});  // the log becomes a file
  const auto [file, offset] = Find(objects[20]);
  Reopen([&, &damaged = file, at = offset] { FlipBit(damaged, at + 500); });
  ASSERT_EQ(status_, absl::OkStatus());
  int lost = 0;
  for (const Written& object : objects) {
    const absl::Status status = ReadBack(backend_.get(), object);
    if (status.ok()) continue;
    ++lost;
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("object ", object.object_id)));
  }
  EXPECT_GE(lost, 1);
  EXPECT_LE(lost, 6);
  for (const Written& object : large) {
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  }
  EXPECT_EQ(WriteBatch(300).size(), 8u);
}

TEST_F(DamageTest, WhatADamagedIndexNoLongerNamesIsNotThrownAway) {
  const std::vector<Written> objects = WriteBatch(1);
  const std::string batch = Find(objects[0]).first;
  Reopen([] {});  // the log becomes a file
  std::string index;
  for (const std::string& file : FilesIn(temporary_.path() + "/db", ".sst")) {
    if (file != batch) index = file;
  }
  ASSERT_FALSE(index.empty());
  Reopen([&] { FlipBit(index, 100); });
  ASSERT_EQ(status_, absl::OkStatus());
  EXPECT_GE(backend_->Usage().damaged_records, 1u);
  EXPECT_TRUE(absl::IsDataLoss(backend_->durable_state()->FindObject(1).status()));
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  for (const Written& object : objects) {
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
  }
}

TEST_F(DamageTest, AnIndexFileThatIsMissingOrCutShortIsDataLossAndNothingIsRemoved) {
  for (const bool remove : {false, true}) {
    const std::vector<Written> objects = WriteBatch(1);
    const std::string batch = Find(objects[0]).first;
    WriteIndexed(backend_.get(), 100);
    Reopen([] {});
    for (const std::string& file : FilesIn(temporary_.path() + "/db", ".sst")) {
      if (file == batch) continue;
      Reopen([&] { remove ? static_cast<void>(fs::remove(file)) : fs::resize_file(file, 5000); });
      break;
    }
    EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
    EXPECT_THAT(std::string(status_.message()), HasSubstr(temporary_.path()));
    EXPECT_TRUE(fs::exists(batch));
    fs::remove_all(temporary_.path());
    Open();
  }
}

TEST_F(DamageTest, AManifestDamagedAnywhereLosesNothingSilently) {
  const std::vector<Written> objects = WriteBatch(1);
  const std::vector<Written> small = WriteIndexed(backend_.get(), 100);
  backend_.reset();
  const std::string copy = temporary_.path() + "-copy";
  const auto manifest = [&] {
    for (const fs::directory_entry& entry : fs::directory_iterator(temporary_.path() + "/db")) {
      if (absl::StartsWith(entry.path().filename().string(), "MANIFEST")) return entry.path();
    }
    return fs::path();
  };
  fs::copy(temporary_.path(), copy, fs::copy_options::recursive);
  const uint64_t bytes = fs::file_size(manifest());
  for (uint64_t at = 0; at < bytes; at += bytes / 25 + 1) {
    for (const bool truncate : {false, true}) {
      SCOPED_TRACE(absl::StrCat(truncate ? "cut at " : "flipped at ", at));
      fs::remove_all(temporary_.path());
      fs::copy(copy, temporary_.path(), fs::copy_options::recursive);
      if (truncate) {
        fs::resize_file(manifest(), at);
      } else {
        FlipBit(manifest(), at);
      }
      Open();
      if (!status_.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
        EXPECT_THAT(std::string(status_.message()), HasSubstr(temporary_.path()));
      } else {
        // Every object is there, or is said to be lost.
        for (const std::vector<Written>* written : {&objects, &small}) {
          for (const Written& object : *written) {
            const absl::Status status = ReadBack(backend_.get(), object);
            EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
          }
        }
      }
      backend_.reset();
      if (HasFailure()) break;
    }
  }
  fs::remove_all(copy);
}

TEST_F(DamageTest, ACurrentThatLeadsNowhereIsDataLoss) {
  WriteBatch(1);
  for (const char* contents : {"", "MANIFEST-999999\n", "\1\2\3", "MANIFEST-000005"}) {
    Reopen([&] { std::ofstream(temporary_.path() + "/db/CURRENT") << contents; });
    EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
    EXPECT_THAT(std::string(status_.message()), HasSubstr(temporary_.path()));
  }
}

TEST_F(DamageTest, ADamagedManifestIsDataLossAndSaysWhere) {
  WriteBatch(1);
  Reopen([&] {
    for (const fs::directory_entry& entry : fs::directory_iterator(temporary_.path() + "/db")) {
      if (absl::StartsWith(entry.path().filename().string(), "MANIFEST")) {
        FlipBit(entry.path(), fs::file_size(entry.path()) / 2);
      }
    }
  });
  EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
  EXPECT_THAT(std::string(status_.message()), HasSubstr(temporary_.path()));
}

TEST_F(DamageTest, AMissingCurrentIsDataLossAndNothingIsOverwritten) {
  const std::vector<Written> objects = WriteBatch(1);
  const std::string file = Find(objects[0]).first;
  Reopen([&] { fs::remove(temporary_.path() + "/db/CURRENT"); });
  EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(DamageTest, WhatIsNotToBeKeptMayBeDamaged) {
  WriteBatch(1);
  backend_.reset();
  fs::remove(temporary_.path() + "/db/CURRENT");
  EXPECT_TRUE(OpenRocksDbBackend(SmallRocksDbOptions(temporary_.path())).ok());
}

TEST_F(DamageTest, ADirectoryRemovedUnderneathFailsWritesCleanly) {
  const std::vector<Written> objects = WriteBatch(1);
  fs::remove_all(temporary_.path());
  SpillRecord record;
  record.object_id = 50;
  const std::string payload = RandomPayload(50, 200000);
  record.payload = payload;
  std::vector<SpillResult> results;
  for (bool durable : {false, true}) {
    record.durable = durable;
    backend_->Write({&record, 1}, &results);
    EXPECT_FALSE(results[0].status.ok());
    EXPECT_FALSE(backend_->Health().ok());
  }
  for (const Written& object : objects) {
    ReadBack(backend_.get(), object).IgnoreError();  // may be open still
    backend_->Release(object.ticket);
  }
  backend_->WaitForReclaim(10);
}

}  // namespace
}  // namespace spillway
