// Runs a fuzz target over its corpus, and over a fixed number of mutations of it.
//
// The corpus has one file for each seed value: TYPE-NUMBER. The files also hold the format to what
// it was when they were written; `SPILLWAY_WRITE_CORPUS=DIRECTORY bazel-bin/.../x_fuzz_test` writes
// them anew. SPILLWAY_FUZZ_MUTATIONS changes the number of mutations.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

constexpr char kCorpora[] = "tests/serialization/fuzz/corpus";

// "vector<pair<int32,float>>" -> "vector_pair_int32_float".
std::string FileName(const std::string& type_name, size_t number) {
  std::string name;
  for (char c : type_name) {
    bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
    if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return absl::StrCat(name.substr(0, 60), "-", number);
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

void RunInput(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// All inputs that have a decoder's number before the payload.
std::vector<std::string> Inputs() {
  std::vector<std::string> inputs;
  std::vector<Decoder> decoders = Decoders();
  for (size_t i = 0; i < decoders.size(); ++i) {
    for (const std::string& seed : decoders[i].seeds) {
      inputs.push_back(std::string(1, static_cast<char>(i)) + seed);
    }
  }
  return inputs;
}

TEST(FuzzReplayTest, SeedsHaveTheBytesTheyAlwaysHad) {
  const char* directory = std::getenv("SPILLWAY_WRITE_CORPUS");
  std::vector<Decoder> decoders = Decoders();
  for (size_t i = 0; i < decoders.size(); ++i) {
    for (size_t j = 0; j < decoders[i].seeds.size(); ++j) {
      std::string name = FileName(decoders[i].type_name, j);
      std::string input = std::string(1, static_cast<char>(i)) + decoders[i].seeds[j];
      if (directory != nullptr) {
        std::ofstream(fs::path(directory) / name, std::ios::binary) << input;
        continue;
      }
      bool found = false;
      for (const auto& corpus : fs::directory_iterator(kCorpora)) {
        if (!fs::exists(corpus.path() / name)) continue;
        found = true;
        EXPECT_EQ(ReadFile(corpus.path() / name), input) << "the format of " << name << " changed";
      }
      EXPECT_TRUE(found) << "no file " << name;
    }
  }
}

TEST(FuzzReplayTest, SeedsVerify) {
  for (const Decoder& decoder : Decoders()) {
    for (const std::string& seed : decoder.seeds) {
      EXPECT_TRUE(decoder.run(seed)) << decoder.type_name;
    }
  }
}

TEST(FuzzReplayTest, TheCorpusDoesNoHarm) {
  if (!fs::exists(kCorpora)) return;
  for (const auto& file : fs::recursive_directory_iterator(kCorpora)) {
    if (file.is_regular_file()) RunInput(ReadFile(file.path()));
  }
}

TEST(FuzzReplayTest, TruncationsDoNoHarm) {
  for (const std::string& input : Inputs()) {
    for (size_t length = 0; length < std::min<size_t>(input.size(), 400); ++length) {
      RunInput(input.substr(0, length));
    }
  }
}

TEST(FuzzReplayTest, MutationsDoNoHarm) {
  int64_t count = 20000;
  if (const char* wanted = std::getenv("SPILLWAY_FUZZ_MUTATIONS"); wanted != nullptr) {
    ASSERT_TRUE(absl::SimpleAtoi(wanted, &count)) << wanted;
  }
  std::vector<std::string> inputs = Inputs();
  std::mt19937_64 random(20240229);
  auto below = [&](size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (int64_t i = 0; i < count; ++i) {
    std::string input = inputs[below(inputs.size())];
    for (size_t change = 0; change <= below(4); ++change) {
      if (input.size() < 9) break;
      // Most of what matters are aligned offsets and counts.
      size_t word = 1 + (below(input.size() - 4) & ~size_t{3});
      word = std::min(word, input.size() - 4);
      switch (below(6)) {
        case 0:
          input[1 + below(input.size() - 1)] ^= static_cast<char>(1 << below(8));
          break;
        case 1:
          input[1 + below(input.size() - 1)] = static_cast<char>(below(256));
          break;
        case 2: {
          const uint32_t kInteresting[] = {
              0, 1, 4, 0x7fffffff, 0x80000000, 0xffffffff, static_cast<uint32_t>(input.size())};
          internal::Store(input.data() + word, kInteresting[below(7)]);
          break;
        }
        case 3:
          internal::Store(input.data() + word, internal::Load<uint32_t>(input.data() + word) +
                                                   static_cast<uint32_t>(below(17)) * 4 - 32);
          break;
        case 4: {
          const std::string& other = inputs[below(inputs.size())];
          size_t from = below(other.size()),
                 length = below(std::min<size_t>(64, other.size() - from));
          size_t to = 1 + below(input.size() - 1);
          input.replace(to, std::min(length, input.size() - to), other.substr(from, length));
          break;
        }
        default:
          input.resize(1 + below(input.size()));
      }
    }
    RunInput(input);
  }
}

}  // namespace
}  // namespace spillway
