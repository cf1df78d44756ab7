-- Where a walk through a table goes on that takes a few rows at a time: the last key that was looked at, 0 at the beginning.
CREATE TABLE IF NOT EXISTS mb_places (
    name varchar(32) NOT NULL PRIMARY KEY,
    value bigint unsigned NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;
