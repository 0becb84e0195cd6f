-- Browsers that are logged in: the cookie's SHA-256, and the key whose rights it carries. It ends with its key.
CREATE TABLE "logins" (
    "hash" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "logins_pkey" PRIMARY KEY ("hash"),
    CONSTRAINT "logins_key_id_fkey" FOREIGN KEY ("key_id") REFERENCES "api_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX "logins_key_id_idx" ON "logins"("key_id");
CREATE INDEX "logins_expires_at_idx" ON "logins"("expires_at");

-- A ticket that a login asked for opens a socket that ends with the login.
ALTER TABLE "ws_tickets" ADD COLUMN "login_hash" TEXT;
