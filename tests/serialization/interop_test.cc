// That others can read payloads: flatc, which knows nothing of this library, and Python.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/object.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"

namespace shop {

struct Size {
  float width = 0;
  float height = 0;
};

struct Item {
  std::string name;
  int32_t price = 0;
  std::optional<int64_t> stock;
  Size size;
  std::vector<Size> samples;
  std::map<std::string, double> ratings;
};

enum class Colour : int8_t { kRed, kGreen = 5 };

}  // namespace shop

SPILLWAY_OBJECT(shop::Size, width, height)
SPILLWAY_OBJECT(shop::Item, name, price, stock, size, samples, ratings)

namespace spillway {
namespace {

constexpr char kFlatc[] = "/usr/bin/flatc";
constexpr char kPython[] = "/usr/bin/python3";

class InteropTest : public testing::Test {
 protected:
  InteropTest() {
    const char* tests = std::getenv("TEST_TMPDIR");
    std::string pattern = absl::StrCat(tests == nullptr ? "/tmp" : tests, "/interop.XXXXXX");
    directory_ = mkdtemp(pattern.data());
  }
  ~InteropTest() override { std::filesystem::remove_all(directory_); }

  void WriteFile(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name, std::ios::binary) << content;
  }

  // Writes NAME.fbs and NAME.bin.
  template <typename T>
  void WriteCase(const std::string& name, const T& value) {
    RegisterType<T>();
    absl::StatusOr<std::string> schema = SchemaText(Codec<T>::TypeName());
    ASSERT_TRUE(schema.ok()) << schema.status();
    WriteFile(name + ".fbs", *schema);
    WriteFile(name + ".bin", EncodeToPayload<T>(value).ToString());
  }

  // Runs a command in the directory; what it says is shown if it fails.
  void Run(const std::string& command) {
    std::string quiet =
        absl::StrCat("cd '", directory_.string(), "' && { ", command, "; } > log 2>&1");
    int code = std::system(quiet.c_str());
    std::ifstream log(directory_ / "log");
    EXPECT_EQ(code, 0) << command << "\n" << log.rdbuf();
  }

  // What flatc makes of a value's payload with the value's schema.
  template <typename T>
  std::string JsonOf(const T& value) {
    WriteCase<T>("case", value);
    Run(absl::StrCat(kFlatc,
                     " --json --strict-json --raw-binary --defaults-json case.fbs -- case.bin"));
    std::ifstream json(directory_ / "case.json");
    std::stringstream text;
    text << json.rdbuf();
    std::string compact;
    for (char c : text.str()) {
      if (c != ' ' && c != '\n') compact += c;
    }
    return compact;
  }

  std::filesystem::path directory_;
};

shop::Item Chair() {
  return {.name = "chair",
          .price = 99,
          .stock = 3,
          .size = {1, 2},
          .samples = {{3, 4}, {5, 6}},
          .ratings = {{"good", 0.5}, {"bad", 0.25}}};
}

TEST_F(InteropTest, FlatcReadsScalars) {
  EXPECT_EQ(JsonOf(int32_t{-7}), R"({"value":-7})");
  EXPECT_EQ(JsonOf(true), R"({"value":true})");
  EXPECT_EQ(JsonOf(2.5), R"({"value":2.5})");
  EXPECT_EQ(JsonOf(uint64_t{18446744073709551615u}), R"({"value":18446744073709551615})");
  EXPECT_EQ(JsonOf(shop::Colour::kGreen), R"({"value":5})");
}

TEST_F(InteropTest, FlatcReadsStrings) {
  EXPECT_EQ(JsonOf<std::string>("short"), R"({"value":"short"})");
  EXPECT_EQ(JsonOf<std::string>(std::string(500, 'x')),
            R"({"value":")" + std::string(500, 'x') + "\"}");
  EXPECT_EQ(JsonOf<std::string>(std::string(5000, 'x')),
            R"({"value":")" + std::string(5000, 'x') + "\"}");
  EXPECT_EQ((JsonOf<std::vector<std::string>>(std::vector<std::string>{"a", "", "bc"})),
            R"({"value":["a","","bc"]})");
}

TEST_F(InteropTest, FlatcReadsVectors) {
  EXPECT_EQ(JsonOf(std::vector<double>{}), R"({"value":[]})");
  EXPECT_EQ(JsonOf(std::vector<double>{0.5, -1}), R"({"value":[0.5,-1.0]})");
  EXPECT_EQ(JsonOf(std::vector<bool>{true, false}), R"({"value":[true,false]})");
  EXPECT_EQ(JsonOf(std::vector<char>{1, 2}), R"({"value":[1,2]})");
  std::string many = R"({"value":[7)";
  for (int i = 1; i < 1000; ++i) many += ",7";
  EXPECT_EQ(JsonOf(std::vector<int16_t>(1000, 7)), many + "]}");
}

TEST_F(InteropTest, FlatcReadsComposedTypes) {
  EXPECT_EQ(JsonOf(std::optional<int>(0)), R"({"value":0})");
  EXPECT_EQ(JsonOf(std::optional<int>()), R"({"value":null})");
  EXPECT_EQ(JsonOf(std::pair(int8_t{1}, 2.0)), R"({"value":{"first":1,"second":2.0}})");
  EXPECT_EQ(JsonOf(std::tuple(std::string("a"), std::vector<std::vector<int>>{{1}, {}})),
            R"({"v0":"a","v1":[{"value":[1]},{"value":[]}]})");
  EXPECT_EQ(JsonOf(std::variant<int, std::string, std::monostate>("b")),
            R"({"index":1,"v0":0,"v1":"b"})");
  EXPECT_EQ(JsonOf(std::map<std::string, int>{{"k", 1}, {"j", 2}}),
            R"({"keys":["j","k"],"values":[2,1]})");
  EXPECT_EQ(JsonOf(std::vector<std::array<int, 2>>{{1, 2}, {3, 4}}),
            R"({"value":[{"value":[1,2]},{"value":[3,4]}]})");
}

TEST_F(InteropTest, FlatcReadsUserStructs) {
  EXPECT_EQ(JsonOf(Chair()),
            R"({"name":"chair","price":99,"stock":3,"size":{"width":1.0,"height":2.0},)"
            R"("samples":[{"width":3.0,"height":4.0},{"width":5.0,"height":6.0}],)"
            R"("ratings":{"keys":["bad","good"],"values":[0.25,0.5]}})");
}

TEST_F(InteropTest, PayloadsThatFlatcWritesAreRead) {
  WriteCase<shop::Item>("item", shop::Item());
  WriteFile("other.json", R"({"name": "stool", "samples": [{"width": 7, "height": 8}]})");
  Run(absl::StrCat(kFlatc, " --binary item.fbs other.json"));
  std::ifstream file(directory_ / "other.bin", std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  Payload payload(bytes.str());
  ASSERT_TRUE(Codec<shop::Item>::Verify(payload.bytes()).ok());
  ViewOf<shop::Item> view = Codec<shop::Item>::MakeView(payload.bytes());
  EXPECT_EQ(view.name(), "stool");
  EXPECT_EQ(view.samples()[0].height, 8);
  EXPECT_EQ(view.stock(), std::nullopt);
  EXPECT_TRUE(view.ratings().empty());
  EXPECT_EQ(view.size()->width, 0);
}

TEST_F(InteropTest, PythonReadsWhatIsWrittenHere) {
  WriteCase<std::vector<double>>("doubles", std::vector<double>{0.5, 1.5, 2.5});
  std::vector<float> many(10000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i);
  WriteCase<std::vector<float>>("many", many);
  WriteCase<std::string>("string",
                         "gr\xc3\xbc\xc3\x9f"
                         "e");
  WriteCase<std::vector<std::string>>("strings", std::vector<std::string>{"a", "", "bc"});
  WriteCase<int64_t>("number", int64_t{1} << 40);
  WriteCase<std::map<std::string, std::vector<int>>>(
      "map", std::map<std::string, std::vector<int>>{{"one", {1}}, {"two", {1, 2}}});
  WriteCase<shop::Item>("item", Chair());
  Run(absl::StrCat("for schema in *.fbs; do ", kFlatc, " --python $schema; done"));
  std::string script = std::filesystem::absolute("tests/serialization/read_payloads.py").string();
  Run(absl::StrCat(kPython, " ", script));
}

}  // namespace
}  // namespace spillway
