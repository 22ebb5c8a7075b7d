-- A stream is the history of one thing: one account, one order, one cashier.
-- Its row says which version the stream is at. It is also the lock: whoever appends
-- updates this row first, so appends to one stream queue up and others pass by.
CREATE TABLE streams (
    id      text   PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
    version bigint NOT NULL    CHECK (version >= 1)
);
