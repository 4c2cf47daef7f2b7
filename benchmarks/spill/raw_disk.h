// What the disk does by itself: direct I/O on one file, with nothing in between.
#ifndef SPILLWAY_BENCHMARKS_SPILL_RAW_DISK_H_
#define SPILLWAY_BENCHMARKS_SPILL_RAW_DISK_H_

#include <cstdint>
#include <string>

namespace spillway::benchmarks {

// All rates are in MB/s. CHECKs that I/O works.
class RawDisk {
 public:
  // The file is made in `directory` and removed with the object.
  explicit RawDisk(const std::string& directory);
  ~RawDisk();
  RawDisk(const RawDisk&) = delete;
  RawDisk& operator=(const RawDisk&) = delete;

  // Writes a new file of `bytes` from front to back in pieces of 4 MiB, `depth` of them at once.
  double Write(uint64_t bytes, int depth);
  // The better of depth 1 and 4.
  double BestWrite(uint64_t bytes);

  // Reads `bytes` of the file in pieces of 4 MiB.
  double Read(uint64_t bytes, int depth);
  double BestRead(uint64_t bytes);

  // Reads `count` pieces of `piece_bytes` at random places, on `threads` threads.
  double ReadRandomly(uint64_t piece_bytes, uint64_t count, int threads);

  // Gives the disk space back.
  void Truncate();

 private:
  const std::string path_;
  int fd_ = -1;
  uint64_t file_bytes_ = 0;
};

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_SPILL_RAW_DISK_H_
