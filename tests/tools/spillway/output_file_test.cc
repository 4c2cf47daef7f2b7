#include "tools/spillway/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = testing::TempDir() + "/output_file_" + info->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    path_ = directory_ + "/out";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static std::string Contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  size_t FilesThere() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                             std::filesystem::directory_iterator()));
  }

  std::string directory_;
  std::string path_;
};

TEST_F(OutputFileTest, AppearsWhenItIsCommitted) {
  std::unique_ptr<OutputFile> file = OutputFile::Open(path_).value();
  EXPECT_TRUE(file->Write("one\n").ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(file->Write("two\n").ok());
  EXPECT_TRUE(file->Commit().ok());
  file.reset();
  EXPECT_EQ(Contents(path_), "one\ntwo\n");
  EXPECT_EQ(FilesThere(), 1u);
}

TEST_F(OutputFileTest, WithoutACommitNothingIsLeftAndTheOldFileStays) {
  std::ofstream(path_) << "old";
  {
    std::unique_ptr<OutputFile> file = OutputFile::Open(path_).value();
    EXPECT_TRUE(file->Write("new").ok());
  }
  EXPECT_EQ(Contents(path_), "old");
  EXPECT_EQ(FilesThere(), 1u);
}

TEST_F(OutputFileTest, KeepsThePermissionsAndFollowsALink) {
  std::ofstream(path_) << "old";
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  const std::string link = directory_ + "/link";
  std::filesystem::create_symlink("out", link);
  std::unique_ptr<OutputFile> file = OutputFile::Open(link).value();
  EXPECT_TRUE(file->Write("new").ok());
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(Contents(path_), "new");
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(OutputFileTest, ANewFileHasThePermissionsThatTheMaskAllows) {
  const mode_t before = umask(027);
  EXPECT_TRUE(OutputFile::Open(path_).value()->Commit().ok());
  umask(before);
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(OutputFileTest, LargeAndSmallPiecesOfAnyAlignmentFollowEachOther) {
  constexpr size_t kAlignment = OutputFile::kAlignment;
  std::string memory(1 << 20, '\0');
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<char>(i * 2654435761u >> 13);
  const size_t misaligned = reinterpret_cast<uintptr_t>(memory.data()) % kAlignment;
  const absl::string_view aligned = absl::string_view(memory).substr(kAlignment - misaligned);
  std::string expected;
  std::unique_ptr<OutputFile> file = OutputFile::Open(path_).value();
  for (size_t size : {256 * 1024, 64 * 1024, 300001, 128 * 1024, 1, 200000}) {
    for (size_t offset : {0, 1}) {
      const absl::string_view piece = aligned.substr(offset, size);
      ASSERT_TRUE(file->Write(piece).ok());
      expected.append(piece.data(), piece.size());
    }
  }
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_TRUE(Contents(path_) == expected);
}

TEST_F(OutputFileTest, ErrorsNameThePathAndTheReason) {
  const absl::Status missing = OutputFile::Open(directory_ + "/no/such/out").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()),
              HasSubstr("/no/such/out': No such file or directory"));
  const absl::Status directory = OutputFile::Open(directory_).status();
  EXPECT_THAT(std::string(directory.message()), HasSubstr("Is a directory"));
}

TEST_F(OutputFileTest, AFullDeviceIsResourceExhausted) {
  std::unique_ptr<OutputFile> file = OutputFile::Open("/dev/full").value();
  const absl::Status status = file->Write("x");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "cannot write '/dev/full': No space left on device");
}

}  // namespace
}  // namespace spillway
