"""Every GraphQL document we send. They are checked against Shopify's own schema by `python tests/shopify_schema.py`.

`COSTS` is what each takes out of the bucket, in points, until an answer tells; a test holds it against the simulator's.
"""

_VARIANT = """
      id sku barcode price compareAtPrice inventoryPolicy inventoryQuantity updatedAt
      product { id title status }
      inventoryItem { id tracked }
"""

SHOP = """
query EvenshelfShop {
  shop { name currencyCode ianaTimezone }
  currentAppInstallation { accessScopes { handle } }
}
"""

VARIANTS_BY_ID = (
    """
query EvenshelfVariantsById($ids: [ID!]!) {
  shop { currencyCode }
  nodes(ids: $ids) {
    ... on ProductVariant {"""
    + _VARIANT
    + """    }
  }
}
"""
)

VARIANTS = (
    """
query EvenshelfVariants($first: Int!, $after: String, $query: String) {
  productVariants(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes {"""
    + _VARIANT
    + """    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
)

CHANGED_PRODUCTS = (
    """
query EvenshelfChangedProducts($first: Int!, $after: String, $query: String) {
  products(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes {
      id
      variants(first: 20) {
        nodes {"""
    + _VARIANT
    + """        }
        pageInfo { hasNextPage endCursor }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
)

MORE_VARIANTS = (
    """
query EvenshelfMoreVariants($product: ID!, $after: String) {
  product(id: $product) {
    variants(first: 250, after: $after) {
      nodes {"""
    + _VARIANT
    + """      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
)

CHANGED_LEVELS = (
    """
query EvenshelfChangedLevels($location: ID!, $first: Int!, $after: String, $query: String) {
  location(id: $location) {
    inventoryLevels(first: $first, after: $after, query: $query) {
      nodes { item { variants(first: 5) { nodes {"""
    + _VARIANT
    + """      } } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
)

VARIANT_COUNT = """
query EvenshelfVariantCount {
  shop { currencyCode }
  productVariantsCount(limit: null) { count }
}
"""

LOCATIONS = """
query EvenshelfLocations($after: String) {
  locations(first: 50, after: $after, includeInactive: true) {
    nodes { id name isActive }
    pageInfo { hasNextPage endCursor }
  }
}
"""

LEVELS = """
query EvenshelfLevels($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on ProductVariant {
      id
      product { id }
      inventoryItem {
        id tracked
        inventoryLevels(first: 20) {
          nodes { location { id } quantities(names: ["available"]) { name quantity } }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
  }
}
"""

MORE_LEVELS = """
query EvenshelfMoreLevels($item: ID!, $after: String) {
  inventoryItem(id: $item) {
    inventoryLevels(first: 250, after: $after) {
      nodes { location { id } quantities(names: ["available"]) { name quantity } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

STOCK_IDS = """
query EvenshelfStockIds($ids: [ID!]!) {
  nodes(ids: $ids) { ... on ProductVariant { id product { id } inventoryItem { id } } }
}
"""

SET_STOCK = """
mutation EvenshelfSetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta item { id } location { id } } }
    userErrors { field message code }
  }
}
"""

ORDERS = """
query EvenshelfOrders($first: Int!, $after: String, $query: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes {
      id createdAt processedAt updatedAt cancelledAt test currencyCode displayFinancialStatus displayFulfillmentStatus
      lineItems(first: 50) {
        nodes {
          id sku quantity currentQuantity product { id } variant { id }
          discountedUnitPriceAfterAllDiscountsSet { shopMoney { amount currencyCode } }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

# Asked for orders with units taken out only: with each of a page of orders it would cost more than all the rest.
REFUNDS = """
query EvenshelfRefunds($order: ID!) {
  order(id: $order) {
    refunds(first: 20) { refundLineItems(first: 50) { nodes { quantity restocked lineItem { id } } } }
  }
}
"""

MORE_LINES = """
query EvenshelfMoreLines($order: ID!, $after: String) {
  order(id: $order) {
    lineItems(first: 250, after: $after) {
      nodes {
        id sku quantity currentQuantity product { id } variant { id }
        discountedUnitPriceAfterAllDiscountsSet { shopMoney { amount currencyCode } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

_DISCOUNT = """
        title status startsAt endsAt asyncUsageCount
        context { __typename }
        combinesWith { orderDiscounts productDiscounts }
        minimumRequirement {
          __typename
          ... on DiscountMinimumSubtotal { greaterThanOrEqualToSubtotal { amount currencyCode } }
          ... on DiscountMinimumQuantity { greaterThanOrEqualToQuantity }
        }
        customerGets {
          appliesOnOneTimePurchase
          value {
            __typename
            ... on DiscountPercentage { percentage }
            ... on DiscountAmount { amount { amount currencyCode } appliesOnEachItem }
          }
          items {
            __typename
            ... on AllDiscountItems { allItems }
            ... on DiscountProducts {
              products(first: 50) { nodes { id } pageInfo { hasNextPage } }
              productVariants(first: 50) { nodes { id } pageInfo { hasNextPage } }
            }
          }
        }
"""

DISCOUNTS = (
    """
query EvenshelfDiscounts($after: String, $query: String) {
  discountNodes(first: 25, after: $after, query: $query) {
    nodes {
      id
      discount {
        __typename
        ... on DiscountCodeBasic {"""
    + _DISCOUNT
    + """        usageLimit
        codes(first: 5) { nodes { code } }
      }
        ... on DiscountAutomaticBasic {"""
    + _DISCOUNT
    + """      }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
)

RUN_BULK = """
mutation EvenshelfRunBulk($query: String!) {
  bulkOperationRunQuery(query: $query) {
    bulkOperation { id status }
    userErrors { field message code }
  }
}
"""

BULK = """
query EvenshelfBulk($id: ID!) {
  bulkOperation(id: $id) { id status createdAt errorCode objectCount url partialDataUrl }
}
"""

# What the bulk operation runs: every variant of the shop, a line each.
BULK_VARIANTS = (
    """
{
  productVariants {
    edges {
      node {"""
    + _VARIANT
    + """      }
    }
  }
}
"""
)

SENT = {
    "shop": SHOP,
    "variants-by-id": VARIANTS_BY_ID,
    "variants": VARIANTS,
    "changed-products": CHANGED_PRODUCTS,
    "more-variants": MORE_VARIANTS,
    "changed-levels": CHANGED_LEVELS,
    "variant-count": VARIANT_COUNT,
    "locations": LOCATIONS,
    "levels": LEVELS,
    "more-levels": MORE_LEVELS,
    "stock-ids": STOCK_IDS,
    "set-stock": SET_STOCK,
    "orders": ORDERS,
    "more-lines": MORE_LINES,
    "refunds": REFUNDS,
    "discounts": DISCOUNTS,
    "run-bulk": RUN_BULK,
    "bulk": BULK,
}
COSTS = {
    "shop": 5,
    "variants-by-id": 5,
    "variants": 40,
    "changed-products": 180,
    "more-variants": 40,
    "changed-levels": 150,
    "variant-count": 12,
    "locations": 10,
    "levels": 25,
    "more-levels": 40,
    "stock-ids": 5,
    "set-stock": 15,
    "orders": 220,
    "more-lines": 40,
    "refunds": 30,
    "discounts": 190,
    "run-bulk": 12,
    "bulk": 2,
}


def is_write(document: str) -> bool:
    return SENT[document].lstrip().startswith("mutation")
