package edge

import (
	"errors"
	"fmt"

	"restraint/edge/atrest"
	"restraint/edge/audit"
	"restraint/suppress"
)

// AuditFiles opens the files of an audit record through the disk.
func AuditFiles(disk *atrest.Disk) audit.Opener {
	if disk == nil {
		return nil
	}
	return func(name string, flag int) (audit.File, error) {
		f, err := disk.OpenFile(name, flag)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

// listDisk is the disk as lists know it; nil where nothing is encrypted.
func listDisk(disk *atrest.Disk) suppress.Disk {
	if disk == nil {
		return nil
	}
	return listFiles{disk}
}

type listFiles struct{ disk *atrest.Disk }

func (l listFiles) OpenFile(name string, flag int) (suppress.File, error) {
	return listFile(l.disk.OpenFile(name, flag))
}

func (l listFiles) CreateTemp(dir, pattern string) (suppress.File, error) {
	return listFile(l.disk.CreateTemp(dir, pattern))
}

// listFile says of a file that was changed or put in the place of another what lists say
// of a damaged one.
func listFile(f *atrest.File, err error) (suppress.File, error) {
	switch {
	case errors.Is(err, atrest.ErrPath), errors.Is(err, atrest.ErrPlain):
		return nil, fmt.Errorf("%w: %w", suppress.ErrDamaged, err)
	case err != nil:
		return nil, err
	}
	return f, nil
}
