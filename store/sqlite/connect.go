package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// A connector opens connections to one database file and sets each of them up
// with pragmas. go-sqlite3 would set synchronous=NORMAL, with which a commit in
// WAL mode isn't synced: every connection says FULL here.
type connector struct {
	dsn     string
	pragmas []string
	driver  *sqlite3.SQLiteDriver
}

func newConnector(path string, options url.Values, pragmas ...string) *connector {
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}).String()
	return &connector{dsn, pragmas, &sqlite3.SQLiteDriver{}}
}

// Connect opens a connection and runs its pragmas.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	for _, pragma := range c.pragmas {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, "PRAGMA "+pragma, nil); err != nil {
			conn.Close()
			return nil, fmt.Errorf("pragma %s: %w", pragma, err)
		}
	}
	return conn, nil
}

// Driver returns the driver, as driver.Connector asks.
func (c *connector) Driver() driver.Driver { return c.driver }

// openWriter opens the connection that changes the database. page_size and
// auto_vacuum count only before the first table is made.
func openWriter(path string, pageSize int) *sql.DB {
	db := sql.OpenDB(newConnector(path, url.Values{"_txlock": {"immediate"}, "_sync": {"FULL"}},
		fmt.Sprintf("page_size = %d", pageSize),
		"auto_vacuum = INCREMENTAL",
		"journal_mode = WAL",
		"synchronous = FULL",
		"wal_autocheckpoint = 0", // the checkpointer does it
		"foreign_keys = ON",
		"busy_timeout = 10000",
		"cache_size = -16384",
		"temp_store = MEMORY",
	))
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db
}

// openReaders opens the pool that reads.
func openReaders(path string, size int) *sql.DB {
	db := sql.OpenDB(newConnector(path, url.Values{"_sync": {"FULL"}},
		"synchronous = FULL",
		"wal_autocheckpoint = 0",
		"busy_timeout = 10000",
		"cache_size = -2048",
		"temp_store = MEMORY",
		"query_only = ON",
	))
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db
}

// openCheckpointer opens the connection that moves pages from the WAL into the
// database beside the writer.
func openCheckpointer(path string) *sql.DB {
	db := sql.OpenDB(newConnector(path, url.Values{"_sync": {"FULL"}},
		"synchronous = FULL",
		"wal_autocheckpoint = 0",
		"busy_timeout = 0",
	))
	db.SetMaxOpenConns(1)
	return db
}
