// Whose a spill directory is: every way in which opening one is refused, and what open leaves and
// takes.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/internal/spill_directory.h"
#include "spill/rocksdb_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using ::spillway::internal::SpillDirectory;
using ::spillway::testing::BytesBelow;
using ::spillway::testing::FilesIn;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;
using ::testing::HasSubstr;

class SpillDirectoryTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SpillBackend>> Open(
      SpillRecovery recovery = SpillRecovery::kDiscard) {
    RocksDbBackendOptions options = SmallRocksDbOptions(path_);
    options.recovery = recovery;
    return OpenRocksDbBackend(options);
  }
  void MakeFile(const std::string& name, const std::string& contents) {
    std::ofstream(absl::StrCat(path_, "/", name)) << contents;
  }
  static mode_t Mode(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }

  TemporaryDirectory temporary_;
  std::string path_ = temporary_.path() + "/spill";
};

TEST_F(SpillDirectoryTest, IsMadeWithItsParentsForItsOwnerAlone) {
  path_ += "/deeper/still";
  const mode_t old_mask = umask(0);
  {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
    ASSERT_TRUE(backend.ok()) << backend.status();
    WriteOne(backend->get(), 1, RandomPayload(1, 2 << 20));
    WriteOne(backend->get(), 2, RandomPayload(2, 1000), /*durable=*/true);
    EXPECT_EQ(Mode(path_), 0700u);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path_)) {
      EXPECT_EQ(Mode(entry.path()), entry.is_directory() ? 0700u : 0600u) << entry.path();
    }
  }
  umask(old_mask);
}

TEST_F(SpillDirectoryTest, AForeignDirectoryIsRefusedAndLeftAlone) {
  fs::create_directory(path_);
  MakeFile("letter.txt", "dear all");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("letter.txt"));
  EXPECT_EQ(FilesIn(path_, "").size(), 1u);
}

TEST_F(SpillDirectoryTest, AMarkerThatSaysSomethingElseIsRefused) {
  fs::create_directory(path_);
  MakeFile("SPILLWAY", "is a fine word\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(Open().status()));
}

TEST_F(SpillDirectoryTest, ANewerFormatIsRefusedAndLeftAlone) {
  ASSERT_TRUE(Open(SpillRecovery::kKeep).ok());
  MakeFile("SPILLWAY", "Spillway spill directory, format 9\n");
  const uint64_t bytes = BytesBelow(path_);
  for (SpillRecovery recovery : {SpillRecovery::kKeep, SpillRecovery::kDiscard}) {
    const absl::Status status = Open(recovery).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("format 9"));
  }
  EXPECT_EQ(BytesBelow(path_), bytes);
}

TEST_F(SpillDirectoryTest, AFileInItsPlaceIsRefused) {
  std::ofstream(path_) << "a file";
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a directory"));
}

TEST_F(SpillDirectoryTest, APlaceThatCannotBeWrittenIsNamed) {
  path_ = "/proc/spillway-test";
  const absl::Status status = Open().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/spillway-test"));
  path_ = "";
  EXPECT_TRUE(absl::IsInvalidArgument(Open().status()));
}

TEST_F(SpillDirectoryTest, ASecondOpenInTheProcessIsRefused) {
  absl::StatusOr<std::unique_ptr<SpillBackend>> first = Open();
  ASSERT_TRUE(first.ok()) << first.status();
  const Written object = WriteOne(first->get(), 1, "bytes");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use by this process"));
  EXPECT_EQ(ReadBack(first->get(), object), absl::OkStatus());
  ASSERT_EQ((*first)->Close(), absl::OkStatus());
  EXPECT_TRUE(Open().ok());
}

TEST_F(SpillDirectoryTest, ADirectoryInUseNamesTheProcessThatHasIt) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<SpillDirectory>> directory = SpillDirectory::Acquire(path_);
    const char answer = directory.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("process ", child)));
  // A tool that only looks is let in.
  EXPECT_TRUE(SpillDirectory::OpenReadOnly(path_).ok());
  // What the process held goes with it, however it ends.
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(Open().ok());
  close(ready[0]);
  close(ready[1]);
}

TEST_F(SpillDirectoryTest, AFirstOpenThatWasCutShortCanBeRepeated) {
  fs::create_directory(path_);
  MakeFile("OWNER", "123\n");
  MakeFile("SPILLWAY.new", "Spillw");
  EXPECT_TRUE(Open().ok());
}

TEST_F(SpillDirectoryTest, StraysAreRemovedAtOpen) {
  ASSERT_TRUE(Open(SpillRecovery::kKeep).ok());
  MakeFile("building/77.sst", std::string(100000, 'x'));
  MakeFile("building/direct-io-probe", "");
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
  ASSERT_TRUE(backend.ok());
  EXPECT_TRUE(FilesIn(path_ + "/building", "").empty());
}

TEST_F(SpillDirectoryTest, AllIsGoneAfterACloseThatDiscards) {
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open();
  ASSERT_TRUE(backend.ok());
  WriteOne(backend->get(), 1, RandomPayload(1, 1 << 20));
  WriteOne(backend->get(), 2, RandomPayload(2, 1 << 20), /*durable=*/true);
  ASSERT_EQ((*backend)->Close(), absl::OkStatus());
  EXPECT_LT(BytesBelow(path_), 1000u);
}

TEST_F(SpillDirectoryTest, WhatADeadProcessLeftIsWipedWhenItIsNotToBeKept) {
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
    if (!backend.ok()) _exit(1);
    WriteOne(backend->get(), 1, RandomPayload(1, 1 << 20));
    WriteOne(backend->get(), 2, RandomPayload(2, 1 << 20), /*durable=*/true);
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  EXPECT_GT(BytesBelow(path_), uint64_t{2} << 20);
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open();
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->Usage().live_records, 0u);
  EXPECT_TRUE(testing::Eventually([&] { return BytesBelow(path_) < uint64_t{1} << 20; }));
}

TEST_F(SpillDirectoryTest, DurableRecordsOutliveAKillAndTheOthersAreWiped) {
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
    if (!backend.ok()) _exit(1);
    WriteOne(backend->get(), 1, RandomPayload(1, 1 << 20));
    WriteAll(backend->get(), 2, {RandomPayload(2, 300000), "", RandomPayload(4, 100)},
             /*durable=*/true);
    WriteOne(backend->get(), 5, RandomPayload(5, 1 << 20));
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  for (int round = 0; round < 2; ++round) {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
    ASSERT_TRUE(backend.ok()) << backend.status();
    std::vector<SpillScanEntry> found;
    ASSERT_EQ((*backend)->Scan([&](const SpillScanEntry& entry) { found.push_back(entry); }),
              absl::OkStatus());
    ASSERT_EQ(found.size(), 3u);
    const std::map<uint64_t, size_t> sizes = {{2, 300000}, {3, 0}, {4, 100}};
    SpillTicket last = kNoTicket;
    for (const SpillScanEntry& entry : found) {
      ASSERT_TRUE(sizes.contains(entry.object_id));
      EXPECT_EQ(entry.payload_bytes, sizes.at(entry.object_id));
      const Written object{entry.object_id, RandomPayload(entry.object_id, entry.payload_bytes),
                           entry.ticket};
      EXPECT_EQ(ReadBack(backend->get(), object), absl::OkStatus());
      EXPECT_GT(entry.ticket, last);
      last = entry.ticket;
    }
    EXPECT_EQ((*backend)->Usage().live_records, 3u);
    EXPECT_TRUE(testing::Eventually([&] { return BytesBelow(path_) < uint64_t{1} << 20; }));
    // New tickets lie above all earlier ones.
    const Written later = WriteOne(backend->get(), 100, "later");
    EXPECT_GT(later.ticket, last);
    (*backend)->Release(later.ticket);
    EXPECT_EQ((*backend)->Close(), absl::OkStatus());
  }
}

TEST_F(SpillDirectoryTest, AReleasedDurableRecordStaysAway) {
  std::vector<Written> objects;
  {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
    ASSERT_TRUE(backend.ok());
    objects = WriteAll(backend->get(), 1, {"one", "two"}, /*durable=*/true);
    (*backend)->Release(objects[0].ticket);
  }
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(SpillRecovery::kKeep);
  ASSERT_TRUE(backend.ok());
  EXPECT_TRUE(absl::IsNotFound(ReadBack(backend->get(), objects[0])));
  EXPECT_EQ(ReadBack(backend->get(), objects[1]), absl::OkStatus());
}

TEST_F(SpillDirectoryTest, ObjectIdsAreNotReusedWhateverIsKept) {
  uint64_t last = 0;
  for (SpillRecovery recovery :
       {SpillRecovery::kKeep, SpillRecovery::kKeep, SpillRecovery::kDiscard}) {
    absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(recovery);
    ASSERT_TRUE(backend.ok()) << backend.status();
    absl::StatusOr<uint64_t> first = (*backend)->ReserveObjectIds(1000);
    ASSERT_TRUE(first.ok());
    EXPECT_GT(*first, last);
    last = *first + 999;
  }
}

TEST_F(SpillDirectoryTest, DamagedCountersAreNotBelieved) {
  ASSERT_TRUE(Open().ok());
  MakeFile("COUNTERS", "next_object_id 1\nnext_ticket 1\nchecksum 123\n");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("COUNTERS"));
}

TEST_F(SpillDirectoryTest, OptionsOutOfRangeAreNamed) {
  const auto error = [&](const std::function<void(RocksDbBackendOptions*)>& set) {
    RocksDbBackendOptions options = SmallRocksDbOptions(path_);
    set(&options);
    const absl::Status status = OpenRocksDbBackend(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(error([](auto* o) { o->memory_budget_bytes = 1000; }),
              HasSubstr("memory_budget_bytes"));
  EXPECT_THAT(error([](auto* o) { o->chunk_bytes = 17; }), HasSubstr("chunk_bytes"));
  EXPECT_THAT(error([](auto* o) { o->reader_threads = -1; }), HasSubstr("reader_threads"));
  EXPECT_THAT(error([](auto* o) { o->max_batch_bytes = 1; }), HasSubstr("max_batch_bytes"));
  EXPECT_FALSE(fs::exists(path_));
}

}  // namespace
}  // namespace spillway
