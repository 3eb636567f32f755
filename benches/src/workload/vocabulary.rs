//! The words of a made-up shop that grew to forty services.

pub(super) const SERVICES: [&str; 40] = [
    "edge-proxy",
    "storefront-web",
    "mobile-api",
    "identity-service",
    "customer-service",
    "basket-service",
    "checkout-service",
    "order-service",
    "payment-service",
    "billing-service",
    "stock-service",
    "catalogue-service",
    "search-service",
    "suggestion-service",
    "pricing-service",
    "voucher-service",
    "delivery-service",
    "parcel-tracking",
    "message-service",
    "mail-sender",
    "text-message-sender",
    "push-sender",
    "review-service",
    "picture-service",
    "thumbnail-maker",
    "location-service",
    "tax-service",
    "fraud-check",
    "ledger-service",
    "report-service",
    "click-collector",
    "switchboard",
    "settings-service",
    "audit-service",
    "helpdesk-service",
    "loyalty-service",
    "returns-service",
    "supplier-service",
    "warehouse-service",
    "forecast-service",
];

pub(super) const RESOURCES: [&str; 20] = [
    "customers",
    "orders",
    "baskets",
    "items",
    "articles",
    "payments",
    "invoices",
    "sessions",
    "reviews",
    "parcels",
    "addresses",
    "vouchers",
    "prices",
    "categories",
    "pictures",
    "events",
    "tickets",
    "accounts",
    "balances",
    "depots",
];

/// Reads are the most of what a shop is asked.
pub(super) const METHODS: [&str; 10] = [
    "GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "PUT", "DELETE",
];

pub(super) const TABLES: [&str; 10] = [
    "customers",
    "orders",
    "order_lines",
    "baskets",
    "payments",
    "invoices",
    "stock_levels",
    "articles",
    "parcels",
    "audit_entries",
];

pub(super) const LOCAL_STEPS: [&str; 8] = [
    "render-page",
    "validate-request",
    "write-response",
    "compute-price",
    "apply-rules",
    "authorise",
    "merge-results",
    "read-payload",
];

pub(super) const TOPICS: [&str; 8] = [
    "order-events",
    "payment-events",
    "customer-events",
    "stock-changes",
    "messages",
    "audit",
    "clicks",
    "parcel-status",
];

/// One in twelve answers of those that did not fail is not a plain 200.
pub(super) const STATUS_CODES: [&str; 12] = [
    "200", "200", "200", "200", "200", "200", "200", "200", "200", "201", "204", "404",
];

pub(super) const FAILED_STATUS_CODES: [&str; 3] = ["500", "503", "504"];

pub(super) const ERRORS: [&str; 5] = [
    "java.net.SocketTimeoutException: Read timed out",
    "500 Internal Server Error",
    "connect ECONNREFUSED",
    "org.springframework.dao.DuplicateKeyException: constraint [\"uk_reference\"] is violated",
    "deadline exceeded",
];

pub(super) const EVENTS: [&str; 5] = [
    "cache miss",
    "retry 1",
    "retry 2",
    "circuit half-open",
    "lock acquired",
];
