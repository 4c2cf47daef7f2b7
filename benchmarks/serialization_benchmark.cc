// What codecs cost, against a plain memcpy and against FlatBuffers used by hand.
//
//     bazel run //benchmarks:serialization_benchmark -- --out=serialization.json
//
//     --out=FILE        where the results go as JSON
//     --commit=REV      what was measured, for the results
//     --quick           fewer repetitions, and nothing above 16 MiB
//     --only=PREFIX     only the rows whose names begin so
//
// put_*   the size and the bytes of a value, into memory that was touched before, as a store has it
// read_*  a copy of the value, in fresh memory as every copy is
// view_*  what a read without a copy costs beyond that of the bytes themselves
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "benchmarks/benchmark_main.h"
#include "benchmarks/measure.h"
#include "benchmarks/report.h"
#include "benchmarks/serialization/scene_generated.h"
#include "flatbuffers/flatbuffers.h"
#include "glog/logging.h"
#include "serialization/object.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"

namespace bench {

// The same as the tables of scene.fbs, as a program without flatc would have them.
struct PlainVertex {
  float x = 0, y = 0, z = 0;
};
struct PlainMesh {
  std::string name;
  std::vector<PlainVertex> vertices;
  bool visible = true;
};
struct PlainScene {
  std::string title;
  double time = 0;
  std::vector<PlainMesh> meshes;
};

}  // namespace bench

SPILLWAY_OBJECT(bench::PlainVertex, x, y, z)
SPILLWAY_OBJECT(bench::PlainMesh, name, vertices, visible)
SPILLWAY_OBJECT(bench::PlainScene, title, time, meshes)

namespace spillway::benchmarks {
namespace {

constexpr size_t kKibibyte = 1024;
constexpr size_t kMebibyte = 1024 * kKibibyte;

RaceOptions RaceOf(const BenchmarkOptions& options) {
  return {.repetitions = options.quick ? 5 : 9, .slices = options.quick ? 9 : 15};
}

std::string SizeName(size_t bytes) {
  if (bytes >= kMebibyte) return absl::StrCat(bytes / kMebibyte, "MiB");
  if (bytes >= kKibibyte) return absl::StrCat(bytes / kKibibyte, "KiB");
  return absl::StrCat(bytes, "B");
}

// Touched memory at a multiple of 64.
class Memory {
 public:
  explicit Memory(size_t size)
      : bytes_(static_cast<char*>(::operator new (size, std::align_val_t{64}))), size_(size) {
    std::memset(bytes_, 1, size);
  }
  ~Memory() { ::operator delete (bytes_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  absl::Span<char> first(size_t size) { return {bytes_, size}; }
  char* data() { return bytes_; }
  size_t size() const { return size_; }

 private:
  char* bytes_;
  size_t size_;
};

// Rows of small objects are in nanoseconds, of others in GB/s.
void AddRow(const std::string& name, size_t bytes, const Timing& ours, const Timing& baseline,
            const std::string& baseline_name, double goal_ratio, Report* report) {
  Result result;
  result.name = name;
  bool small = bytes < 64 * kKibibyte;
  double scale = static_cast<double>(bytes);
  result.unit = small ? "ns" : "GB/s";
  result.better = small ? Better::kLower : Better::kHigher;
  result.ours = small ? ours.ns : scale / ours.ns;
  result.baseline = small ? baseline.ns : scale / baseline.ns;
  result.baseline_name = baseline_name;
  result.spread = ours.spread;
  if (goal_ratio > 0) {
    result.goal = absl::StrCat(">= ", goal_ratio, " of ", baseline_name);
    result.met = result.ratio() >= goal_ratio;
  }
  report->Add(result);
}

// How often to do something that moves so many bytes, for a slice of a fraction of a millisecond.
uint64_t OperationsFor(size_t bytes) {
  return std::max<uint64_t>(1, std::min<uint64_t>(2000, 2 * kMebibyte / bytes));
}

// What a put does. Inlined nowhere, as in a program.
template <typename T, typename Source>
[[gnu::noinline]] void EncodeInto(const Source& value, Memory* memory) {
  absl::StatusOr<size_t> size = Codec<T>::EncodedSize(value);
  CHECK(size.ok() && *size <= memory->size());
  Codec<T>::Encode(value, memory->first(*size));
}

// `value` is of `bytes` bytes that start at `data`.
template <typename T>
void MeasureFlat(const BenchmarkOptions& options, const std::string& kind, const T& value,
                 const void* data, size_t bytes, Report* report) {
  std::string put = absl::StrCat("put_", kind, "_", SizeName(bytes));
  std::string read = absl::StrCat("read_", kind, "_", SizeName(bytes));
  double goal = bytes >= kMebibyte ? 0.9 : 0;
  uint64_t operations = OperationsFor(bytes);
  auto repeat = [operations](auto&& once) {
    return [operations, once] {
      for (uint64_t i = 0; i < operations; ++i) once();
    };
  };
  if (options.wanted(put)) {
    Memory ours(bytes + kKibibyte), plain(bytes + kKibibyte);
    std::vector<Timing> timings = Race(RaceOf(options), {{operations, repeat([&] {
                                                            EncodeInto<T>(value, &ours);
                                                            KeepAlive(ours.data());
                                                          })},
                                                         {operations, repeat([&] {
                                                            std::memcpy(plain.data(), data, bytes);
                                                            KeepAlive(plain.data());
                                                          })}});
    AddRow(put, bytes, timings[0], timings[1], "memcpy", goal, report);
  }
  if (options.wanted(read)) {
    Memory memory(bytes + kKibibyte);
    EncodeInto<T>(value, &memory);
    absl::Span<const char> payload = memory.first(Codec<T>::EncodedSize(value).value());
    std::vector<Timing> timings =
        Race(RaceOf(options), {{operations, repeat([&] {
                                  T copy = Codec<T>::Decode(Codec<T>::MakeView(payload));
                                  KeepAlive(copy.data());
                                })},
                               {operations, repeat([&] {
                                  T copy = value;
                                  KeepAlive(copy.data());
                                })}});
    AddRow(read, bytes, timings[0], timings[1], "copy of the value", goal, report);
  }
}

void MeasureFlat(const BenchmarkOptions& options, Report* report) {
  for (size_t bytes :
       {size_t{64}, kKibibyte, 64 * kKibibyte, kMebibyte, 16 * kMebibyte, 64 * kMebibyte}) {
    if (options.quick && bytes > 16 * kMebibyte) continue;
    std::vector<double> vector(bytes / sizeof(double), 0.5);
    MeasureFlat(options, "vector", vector, vector.data(), bytes, report);
    std::string string(bytes, 's');
    MeasureFlat(options, "string", string, string.data(), bytes, report);
  }
}

// The same by FlatBuffers' builder, which is kept for the next time, and a copy into the store.
void MeasureBuilder(const BenchmarkOptions& options, Report* report) {
  for (size_t bytes :
       {size_t{64}, kKibibyte, 64 * kKibibyte, kMebibyte, 16 * kMebibyte, 64 * kMebibyte}) {
    std::string name = absl::StrCat("put_vector_", SizeName(bytes), "_vs_builder");
    if (!options.wanted(name) || (options.quick && bytes > 16 * kMebibyte)) continue;
    std::vector<double> vector(bytes / sizeof(double), 0.5);
    Memory ours(bytes + kKibibyte), theirs(bytes + kKibibyte);
    flatbuffers::FlatBufferBuilder builder;
    uint64_t operations = OperationsFor(bytes);
    std::vector<Timing> timings =
        Race(RaceOf(options),
             {{operations,
               [&] {
                 for (uint64_t i = 0; i < operations; ++i) {
                   EncodeInto<std::vector<double>>(vector, &ours);
                   KeepAlive(ours.data());
                 }
               }},
              {operations, [&] {
                 for (uint64_t i = 0; i < operations; ++i) {
                   builder.Clear();
                   auto data = builder.CreateVector(vector);
                   flatbuffers::uoffset_t start = builder.StartTable();
                   builder.AddOffset(4, data);
                   builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
                   std::memcpy(theirs.data(), builder.GetBufferPointer(), builder.GetSize());
                   KeepAlive(theirs.data());
                 }
               }}});
    AddRow(name, bytes, timings[0], timings[1], "FlatBufferBuilder and memcpy", 1, report);
  }
}

bench::PlainScene MakeScene(size_t meshes, size_t vertices) {
  bench::PlainScene scene;
  scene.title = "a scene of the benchmark";
  scene.time = 1.5;
  for (size_t i = 0; i < meshes; ++i) {
    scene.meshes.push_back(
        {absl::StrCat("mesh number ", i), std::vector<bench::PlainVertex>(vertices), true});
  }
  return scene;
}

flatbuffers::Offset<bench::Scene> BuildScene(const bench::PlainScene& scene,
                                             flatbuffers::FlatBufferBuilder& builder) {
  std::vector<flatbuffers::Offset<bench::Mesh>> meshes;
  meshes.reserve(scene.meshes.size());
  for (const bench::PlainMesh& mesh : scene.meshes) {
    auto name = builder.CreateString(mesh.name);
    auto vertices = builder.CreateVectorOfStructs(
        reinterpret_cast<const bench::Vertex*>(mesh.vertices.data()), mesh.vertices.size());
    meshes.push_back(bench::CreateMesh(builder, name, vertices, mesh.visible));
  }
  auto title = builder.CreateString(scene.title);
  return bench::CreateScene(builder, title, scene.time, builder.CreateVector(meshes));
}

// Structs with strings and vectors inside: by SPILLWAY_OBJECT, and by the builder as one would by
// hand.
void MeasureScenes(const BenchmarkOptions& options, Report* report) {
  const std::pair<const char*, bench::PlainScene> kScenes[] = {
      {"100_meshes_of_10", MakeScene(100, 10)}, {"10_meshes_of_1000", MakeScene(10, 1000)}};
  for (const auto& [kind, scene] : kScenes) {
    std::string name = absl::StrCat("put_struct_", kind);
    size_t bytes = Codec<bench::PlainScene>::EncodedSize(scene).value();
    Memory ours(2 * bytes), theirs(2 * bytes);
    flatbuffers::FlatBufferBuilder builder;
    constexpr uint64_t kOperations = 50;
    auto by_codec = [&, &scene = scene] {
      for (uint64_t i = 0; i < kOperations; ++i) {
        EncodeInto<bench::PlainScene>(scene, &ours);
        KeepAlive(ours.data());
      }
    };
    auto by_hand = [&, &scene = scene] {
      for (uint64_t i = 0; i < kOperations; ++i) {
        builder.Clear();
        builder.Finish(BuildScene(scene, builder));
        std::memcpy(theirs.data(), builder.GetBufferPointer(), builder.GetSize());
        KeepAlive(theirs.data());
      }
    };
    if (options.wanted(name)) {
      std::vector<Timing> timings =
          Race(RaceOf(options), {{kOperations, by_codec}, {kOperations, by_hand}});
      AddRow(name, 1, timings[0], timings[1], "FlatBufferBuilder and memcpy", 1, report);
    }

    std::string verify = absl::StrCat("verify_struct_", kind);
    if (options.wanted(verify)) {
      by_codec();
      by_hand();
      size_t size = builder.GetSize();
      std::vector<Timing> timings = Race(
          RaceOf(options), {{kOperations,
                             [&] {
                               for (uint64_t i = 0; i < kOperations; ++i) {
                                 CHECK(Codec<bench::PlainScene>::Verify(ours.first(bytes)).ok());
                               }
                             }},
                            {kOperations, [&] {
                               for (uint64_t i = 0; i < kOperations; ++i) {
                                 flatbuffers::Verifier verifier(
                                     reinterpret_cast<uint8_t*>(theirs.data()), size);
                                 CHECK(verifier.VerifyBuffer<bench::Scene>());
                               }
                             }}});
      AddRow(verify, 1, timings[0], timings[1], "flatbuffers::Verifier", 0, report);
    }
  }
}

// What a typed view costs beyond one of the raw bytes, in a store.
template <typename T, typename Touch>
void MeasureView(const BenchmarkOptions& options, const std::string& name,
                 const std::function<ObjectRef<T>(ObjectStore&)>& put, Touch touch,
                 Report* report) {
  if (!options.wanted(name)) return;
  StoreOptions store_options;
  store_options.memory_limit_bytes = 256 * kMebibyte;
  std::unique_ptr<ObjectStore> store = ObjectStore::Open(store_options, NewMemoryBackend()).value();
  constexpr uint64_t kObjects = 512;  // all in the caches
  std::vector<ObjectRef<T>> refs;
  for (uint64_t i = 0; i < kObjects; ++i) refs.push_back(put(*store));
  std::vector<Timing> timings =
      Race(RaceOf(options), {{kObjects,
                              [&] {
                                for (const ObjectRef<T>& ref : refs) {
                                  absl::StatusOr<ObjectView<T>> view = ref.Get();
                                  KeepAlive(touch(**view));
                                }
                              }},
                             {kObjects, [&] {
                                for (const ObjectRef<T>& ref : refs) {
                                  absl::StatusOr<RawView> view = ref.any().GetRaw();
                                  KeepAlive(*view->data());
                                }
                              }}});
  Result result;
  result.name = name;
  result.ours = timings[0].ns;
  result.unit = "ns";
  result.baseline = timings[1].ns;
  result.baseline_name = "raw get";
  result.spread = timings[0].spread;
  result.goal = "<= raw get + 10 ns";
  result.met = timings[0].ns <= timings[1].ns + 10;
  report->Add(result);
}

void MeasureViews(const BenchmarkOptions& options, Report* report) {
  MeasureView<bench::Scene>(
      options, "view_table",
      [](ObjectStore& store) {
        bench::PlainScene scene = MakeScene(2, 2);
        return store
            .Build<bench::Scene>(
                [&](flatbuffers::FlatBufferBuilder& builder) { return BuildScene(scene, builder); })
            .value();
      },
      [](const bench::Scene* scene) { return scene->time(); }, report);
  MeasureView<std::vector<double>>(
      options, "view_vector",
      [](ObjectStore& store) {
        return store.Put(std::vector<double>{1, 2, 3}).value();
      },
      [](absl::Span<const double> view) { return view[2]; }, report);
  MeasureView<std::string>(
      options, "view_string",
      [](ObjectStore& store) { return store.Put("a string of some characters").value(); },
      [](std::string_view view) { return view.back(); }, report);
  MeasureView<bench::PlainScene>(
      options, "view_struct", [](ObjectStore& store) { return store.Put(MakeScene(2, 2)).value(); },
      [](const ViewOf<bench::PlainScene>& scene) { return scene.time(); }, report);
}

void Measure(const BenchmarkOptions& options, Report* report) {
  MeasureViews(options, report);
  MeasureFlat(options, report);
  MeasureBuilder(options, report);
  MeasureScenes(options, report);
}

}  // namespace

int Main(int argc, char** argv) { return BenchmarkMain(argc, argv, "serialization", Measure); }

}  // namespace spillway::benchmarks

int main(int argc, char** argv) { return spillway::benchmarks::Main(argc, argv); }
