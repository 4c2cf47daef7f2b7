#include "serialization/record.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.is_open()) << path;
  return std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
}

// The record of FORMAT.md.
RecordHeader ExampleHeader() {
  RecordHeader header;
  header.object_id = 42;
  header.type.type_id = 0x1122334455667788;
  header.type.fingerprint = 0x99aabbccddeeff00;
  header.type.encoding = Encoding::kFlatBuffer;
  header.durable = true;
  header.payload_bytes = 5;
  header.chunk_stride_bytes = 64 << 10;
  header.stored_bytes = 5;
  return header;
}

std::string Encode(const RecordHeader& header, absl::string_view stored) {
  std::string record(kRecordHeaderBytes, '\0');
  EncodeRecordHeader(header, record.data());
  return absl::StrCat(record, stored);
}

// As `hexdump -C` shows it.
std::string HexDump(absl::string_view bytes) {
  std::string text;
  for (size_t line = 0; line < bytes.size(); line += 16) {
    absl::StrAppendFormat(&text, "    %08x ", line);
    std::string readable;
    for (size_t i = line; i < line + 16; ++i) {
      if (i % 8 == 0) text += ' ';
      if (i >= bytes.size()) {
        text += "   ";
        continue;
      }
      const unsigned char byte = static_cast<unsigned char>(bytes[i]);
      absl::StrAppendFormat(&text, "%02x ", byte);
      readable += byte >= 32 && byte < 127 ? static_cast<char>(byte) : '.';
    }
    absl::StrAppend(&text, " |", readable, "|\n");
  }
  return text;
}

TEST(RecordTest, TheExampleOfTheFormatPageIsWhatIsWritten) {
  const std::string page = ReadFile("serialization/FORMAT.md");
  const std::string dump = HexDump(Encode(ExampleHeader(), "hello"));
  EXPECT_TRUE(absl::StrContains(page, dump)) << dump;
}

TEST(RecordTest, AGoldenFileIsReadAsItWasWritten) {
  const std::string golden = ReadFile("tests/serialization/golden/record_v1.bin");
  EXPECT_EQ(golden, Encode(ExampleHeader(), "hello"));
  RecordHeader header;
  ASSERT_EQ(DecodeRecordHeader(golden, &header), absl::OkStatus());
  EXPECT_EQ(header, ExampleHeader());
}

TEST(RecordTest, EveryFieldComesBack) {
  RecordHeader header;
  header.object_id = 0xfedcba9876543210;
  header.type = {0x0123456789abcdef, 0xaaaabbbbccccdddd, Encoding::kCustom};
  header.compression = ChunkCompression::kZstd;
  header.payload_bytes = 0x123456789a;
  header.chunk_stride_bytes = 1 << 20;
  header.chunk_count = ChunkCount(header.payload_bytes, header.chunk_stride_bytes);
  header.chunk_number = 12345;
  header.stored_bytes = 777;
  RecordHeader decoded;
  ASSERT_EQ(DecodeRecordHeader(Encode(header, std::string(777, 'x')), &decoded), absl::OkStatus());
  EXPECT_EQ(decoded, header);
  EXPECT_EQ(decoded.chunk_offset(), uint64_t{12345} << 20);
  EXPECT_EQ(decoded.chunk_bytes(), uint64_t{1} << 20);
}

TEST(RecordTest, ChunksAreCountedUpToAbsurdSizes) {
  EXPECT_EQ(ChunkCount(0, 100), 1u);
  EXPECT_EQ(ChunkCount(1, 100), 1u);
  EXPECT_EQ(ChunkCount(100, 100), 1u);
  EXPECT_EQ(ChunkCount(101, 100), 2u);
  EXPECT_EQ(ChunkCount(5, 0), 1u);
  EXPECT_EQ(ChunkCount(UINT64_MAX, 1), UINT32_MAX);
}

TEST(RecordTest, AnyChangedBitOfTheHeaderIsFound) {
  const std::string record = Encode(ExampleHeader(), "hello");
  for (size_t bit = 0; bit < 8 * kRecordHeaderBytes; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    RecordHeader header;
    EXPECT_TRUE(absl::IsDataLoss(DecodeRecordHeader(damaged, &header))) << "bit " << bit;
  }
}

TEST(RecordTest, ARecordThatIsTooShortOrTooLongIsFound) {
  const std::string record = Encode(ExampleHeader(), "hello");
  RecordHeader header;
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeRecordHeader(record.substr(0, size), &header))) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeRecordHeader(record + "!", &header)));
  // A header that stands alone is none of these.
  EXPECT_EQ(DecodeRecordHeaderOnly(record.substr(0, kRecordHeaderBytes), &header),
            absl::OkStatus());
}

TEST(RecordTest, ANewerVersionIsNamed) {
  std::string record = Encode(ExampleHeader(), "hello");
  record[4] = 2;
  RecordHeader header;
  const absl::Status status = DecodeRecordHeader(record, &header);
  EXPECT_THAT(std::string(status.message()), HasSubstr("version 2"));
}

TEST(RecordDeathTest, AHeaderThatContradictsItselfIsNeverWritten) {
  char out[kRecordHeaderBytes];
  const std::vector<void (*)(RecordHeader*)> mistakes = {
      [](RecordHeader* h) { h->object_id = 0; },
      [](RecordHeader* h) { h->chunk_count = 2; },
      [](RecordHeader* h) { h->chunk_number = 1; },
      [](RecordHeader* h) { h->stored_bytes = 4; },
      [](RecordHeader* h) { h->compression = ChunkCompression::kLz4; },
      [](RecordHeader* h) { h->chunk_stride_bytes = 0; },
  };
  for (const auto& mistake : mistakes) {
    RecordHeader header = ExampleHeader();
    mistake(&header);
    EXPECT_DEATH(EncodeRecordHeader(header, out), "record of object");
  }
}

}  // namespace
}  // namespace spillway
