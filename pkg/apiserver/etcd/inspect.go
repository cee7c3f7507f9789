// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// inspect refuses a directory of etcd whose log is damaged or has lost its end, before etcd writes to it. etcd itself would cut a log
// that ends early where it ends, and then answer no write until it has counted up to where its database is: too late to look for
// what else is gone.
//
// Writes that are gone from the end of the log and have not reached the database either leave no trace.
func inspect(dir string) error {
	logged, err := lastLogged(datadir.ToWALDir(dir))
	if err != nil {
		return fmt.Errorf("write-ahead log: %w", damage(err))
	}
	stored, err := lastStored(datadir.ToBackendFileName(dir))
	if err != nil {
		return fmt.Errorf("database: %w", damage(err))
	}
	if stored > logged {
		return &damagedError{fmt.Errorf("its write-ahead log ends at entry %d, and its database has entry %d: the log has lost its end", logged, stored)}
	}
	return nil
}

// damage marks an error as one of the content, unless it comes from the file system.
func damage(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) || isFull(err) {
		return err
	}
	return &damagedError{err}
}

// lastLogged is the index of the last entry in the log, 0 if there is none. The record that a killed process was about to write may be
// there in part and does not count.
func lastLogged(dir string) (uint64, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return 0, err
	}
	var files []fileutil.FileReader
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer func() { _ = file.Close() }()
		files = append(files, fileutil.NewFileReader(file))
	}
	last := uint64(0)
	decoder := wal.NewDecoder(files...)
	record := &walpb.Record{}
	for err = decoder.Decode(record); err == nil; err = decoder.Decode(record) {
		switch record.GetType() {
		case wal.EntryType:
			last = wal.MustUnmarshalEntry(record.Data).GetIndex()
		case wal.CrcType:
			// The first file that is left need not be the first that was written.
			if crc := decoder.LastCRC(); crc != 0 && record.Validate(crc) != nil {
				return 0, wal.ErrCRCMismatch
			}
			decoder.UpdateCRC(record.GetCrc())
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return last, nil
	}
	return 0, err
}

// lastStored returns the index of the last entry that is in the database, 0 if there is no database.
func lastStored(path string) (index uint64, err error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		// Of an empty database etcd makes one.
		return 0, nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(tx *bbolt.Tx) error {
		// A page beyond the end of the file would be a fault that nobody can recover from.
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.Size() < tx.Size() {
			return fmt.Errorf("%s has %d bytes of %d", path, info.Size(), tx.Size())
		}
		if bucket := tx.Bucket(schema.Meta.Name()); bucket != nil {
			if value := bucket.Get(schema.MetaConsistentIndexKeyName); len(value) == 8 {
				index = binary.BigEndian.Uint64(value)
			}
		}
		return nil
	})
	return index, err
}

// removeLeftovers removes what defragmentations left that were killed, each as large as the database. They are copies that nothing
// reads: a defragmentation that comes to its end gives its copy the name of the database.
func removeLeftovers(dir string) error {
	paths, err := filepath.Glob(filepath.Join(datadir.ToSnapDir(dir), "db.tmp.*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("left by a defragmentation that was killed: %w", err)
		}
	}
	return nil
}
