// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// puts is how many keys a filled directory has, each of some sectors.
const puts = 50

// fill writes keys from the first number up to the last, exclusively, and stops the server.
func fill(t *testing.T, dir string, from, to int) {
	t.Helper()
	server, err := Start(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := newClient(t, server)
	for i := from; i < to; i++ {
		if _, err := client.Put(t.Context(), key(i), strings.Repeat("v", 3000)); err != nil {
			t.Fatal(err)
		}
	}
}

func logOf(dir string) string {
	return filepath.Join(dir, "etcd/member/wal/0000000000000000-0000000000000000.wal")
}

func databaseOf(dir string) string { return filepath.Join(dir, "etcd/member/snap/db") }

// recordsOf are the offsets of the log's records, and where they end.
func recordsOf(t *testing.T, dir string) []int64 {
	t.Helper()
	file, err := os.Open(logOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	offsets := []int64{0}
	decoder, record := wal.NewDecoder(fileutil.NewFileReader(file)), &walpb.Record{}
	for {
		switch err := decoder.Decode(record); {
		case errors.Is(err, io.EOF):
			return offsets
		case err != nil:
			t.Fatal(err)
		case record.GetType() == wal.CrcType:
			decoder.UpdateCRC(record.GetCrc())
		}
		offsets = append(offsets, decoder.LastOffset())
	}
}

// valueIn is the offset of a record from the middle on that has a value.
func valueIn(records []int64) int64 {
	i := len(records) / 2
	for records[i+1]-records[i] < 3000 {
		i++
	}
	return records[i]
}

func overwrite(t *testing.T, path string, offset int64, with []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(with, offset)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// contents are the sums of all files.
func contents(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	sums := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		sums[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func TestADamagedDirectoryIsRefusedAndLeftAsItIs(t *testing.T) {
	// within is where a record in the middle has its value.
	within := func(t *testing.T, dir string) int64 { return valueIn(recordsOf(t, dir)) + 200 }
	for name, tc := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   string
	}{
		"64 bytes overwritten in the middle of the log": {
			damage: func(t *testing.T, dir string) {
				overwrite(t, logOf(dir), within(t, dir), bytes.Repeat([]byte("x"), 64))
			},
			want: "crc mismatch",
		},
		// To etcd this is a record that was not written to its end, before which it would cut the log.
		"sectors of zeros in the middle of the log": {
			damage: func(t *testing.T, dir string) { overwrite(t, logOf(dir), within(t, dir), make([]byte, 1024)) },
			want:   "the log has lost its end",
		},
		"acknowledged writes cut off the end of the log": {
			damage: func(t *testing.T, dir string) {
				records := recordsOf(t, dir)
				if err := os.Truncate(logOf(dir), records[len(records)-10]-100); err != nil {
					t.Fatal(err)
				}
			},
			want: "the log has lost its end",
		},
		"the log is gone": {
			damage: func(t *testing.T, dir string) {
				if err := os.RemoveAll(filepath.Dir(logOf(dir))); err != nil {
					t.Fatal(err)
				}
			},
			want: "its write-ahead log ends at entry 0",
		},
		"a database that is none": {
			damage: func(t *testing.T, dir string) {
				overwrite(t, databaseOf(dir), 0, bytes.Repeat([]byte("x"), 4*os.Getpagesize()))
			},
			want: "database: invalid database",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 0, puts)
			tc.damage(t, dir)
			before := contents(t, dir)

			_, err := Start(t.Context(), Options{DataDir: dir})
			if err == nil {
				t.Fatal("the server starts")
			}
			for _, want := range []string{"data directory " + dir + " is damaged", "restore a backup", tc.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Errorf("the directory has changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestALogThatLosesItsEndTakesNothingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		cut func(t *testing.T, dir string)
		// Of the acknowledged writes, those before the cut are kept, and those after it are lost if there are any.
		kept, acknowledged int64
	}{
		// The process was killed within a write, which it has not acknowledged.
		"a record that was not written to its end": {
			cut: func(t *testing.T, dir string) {
				records := recordsOf(t, dir)
				data, err := os.ReadFile(logOf(dir))
				if err != nil {
					t.Fatal(err)
				}
				from := valueIn(records)
				overwrite(t, logOf(dir), records[len(records)-1], data[from:from+1500])
			},
			kept: puts, acknowledged: puts,
		},
		// Nothing is left by which this could be known.
		"acknowledged writes that have not reached the database": {
			cut: func(t *testing.T, dir string) {
				database, err := os.ReadFile(databaseOf(dir))
				if err != nil {
					t.Fatal(err)
				}
				fill(t, dir, puts, 2*puts)
				overwrite(t, databaseOf(dir), 0, database)
				records := recordsOf(t, dir)
				if err := os.Truncate(logOf(dir), records[len(records)-puts/2]-100); err != nil {
					t.Fatal(err)
				}
			},
			kept: puts, acknowledged: 2 * puts,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 0, puts)
			tc.cut(t, dir)
			client := newClient(t, start(t, dir))
			got, err := client.Get(t.Context(), "/test/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				t.Fatal(err)
			}
			if got.Count < tc.kept {
				t.Errorf("%d keys are left, want %d or more", got.Count, tc.kept)
			}
			if lost := tc.acknowledged > tc.kept; lost != (got.Count < tc.acknowledged) {
				t.Errorf("%d of %d acknowledged keys are left", got.Count, tc.acknowledged)
			}
			if cut, _ := filepath.Glob(logOf(dir) + ".broken"); len(cut) != 1 {
				t.Error("etcd has found no record that was not written to its end")
			}
			if _, err := client.Put(t.Context(), "a", "1"); err != nil {
				t.Errorf("writing afterwards: %v", err)
			}
		})
	}
}

func TestWhatAKilledDefragmentationLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 0, 1)
	left := filepath.Join(filepath.Dir(databaseOf(dir)), "db.tmp.1234")
	if err := os.WriteFile(left, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there still: %v", left, err)
	}
}

// A copy that ran out of room has lost its end.
func TestADatabaseThatHasLostItsEndIsRefused(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 0, puts)
	if err := os.Truncate(databaseOf(dir), int64(4*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("Start: %v", err)
	}
}
