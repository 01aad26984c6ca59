-- Who watches, and who asked for help. The newest file wins; the columns are the contract's.
CREATE TABLE IF NOT EXISTS subscribers (
    subscriber_id  VARCHAR NOT NULL,
    email          VARCHAR,
    display_name   VARCHAR,
    locale         VARCHAR,
    timezone       VARCHAR,
    country        VARCHAR,
    region         VARCHAR,
    email_opt_in   BOOLEAN,
    in_app_opt_in  BOOLEAN,
    no_phone       BOOLEAN,
    created_at     TIMESTAMP
);

CREATE TABLE IF NOT EXISTS contacts (
    contact_id              VARCHAR NOT NULL,
    subscriber_id           VARCHAR NOT NULL,
    contacted_at            TIMESTAMP NOT NULL,
    channel                 VARCHAR,
    reason                  VARCHAR,
    handle_seconds          INTEGER,
    resolved_first_contact  BOOLEAN,
    csat                    INTEGER,
    nps                     INTEGER
);
