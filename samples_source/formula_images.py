"""Images made by formulas: fractals, strokes, contours, gratings, noise and cells. None of them is a photograph.

A class is a set of parameters of one formula; its images vary by jitter of the parameters, by place, turn and zoom, and
by colour. Training a network to name the formula gives it filters that transfer (Kataoka et al. 2020, "Pre-training
without Natural Images", arXiv 2101.08515).

Every formula takes two generators: `fixed` draws what the class is, `varied` what one image of it is. It returns
`values`: (number, SIZE, SIZE) in 0 to 1, where 1 is the figure.
"""

import numpy as np
from numpy.random import Generator, default_rng

SIZE = 64  # pixels
CHUNK = 8  # images drawn at a time where the distance of every pixel to every point is needed
CURVE = 20  # straight pieces of one stroke
AXIS = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)  # pixel centres, -1 to 1
PIXELS = np.stack(np.meshgrid(AXIS, AXIS), -1).reshape(-1, 2)  # (SIZE * SIZE, 2) as x, y


def affine(varied: Generator, number: int, *, turn: float, zoom: float, shear: float = 0.0) -> np.ndarray:
    """(number, 2, 2): turned by up to `turn` radians, each axis scaled by up to a factor of `zoom`, then sheared."""
    angle = varied.uniform(-turn, turn, number)
    scale = zoom ** varied.uniform(-1, 1, (number, 2))
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    slant = np.tile(np.eye(2), (number, 1, 1))
    slant[:, 0, 1] = varied.uniform(-shear, shear, number)
    return (rotation @ slant * scale[:, None, :]).astype(np.float32)


def plane(varied: Generator, number: int, *, turn: float, zoom: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, each (number, SIZE, SIZE), after a random affine map of the plane."""
    points = PIXELS @ affine(varied, number, turn=turn, zoom=zoom, shear=0.2).transpose(0, 2, 1)
    points = points + varied.uniform(-shift, shift, (number, 1, 2))
    points = points.reshape(number, SIZE, SIZE, 2).astype(np.float32)
    return points[..., 0], points[..., 1]


def stretch(values: np.ndarray) -> np.ndarray:
    """Scale every image to cover 0 to 1."""
    low, high = values.min((1, 2), keepdims=True), values.max((1, 2), keepdims=True)
    return (values - low) / np.maximum(high - low, 1e-6)


def strokes(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """A made-up character: one to four cubic Bezier curves, some joined, drawn with a pen of varying width."""
    controls, start = [], fixed.uniform(-0.9, 0.9, 2)
    for _ in range(fixed.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15])):
        if fixed.random() < 0.45:
            start = fixed.uniform(-0.9, 0.9, 2)
        end = fixed.uniform(-0.9, 0.9, 2)
        kind = fixed.choice(["line", "bow", "loop"], p=[0.3, 0.4, 0.3])
        if kind == "line":
            middle = np.linspace(start, end, 4)[1:3]
        elif kind == "bow":
            middle = fixed.uniform(-1.2, 1.2, (2, 2))
        else:
            # Two far control points on either side of the start pull the curve round and back to where it began.
            end = start + fixed.normal(0, 0.12, 2)
            away, across = fixed.normal(0, 1, 2), fixed.uniform(0.8, 1.6)
            away *= fixed.uniform(1.2, 2.2) / np.linalg.norm(away)
            side = across * np.array([-away[1], away[0]])
            middle = start + np.stack([away + side, away - side])
        controls.append(np.stack([start, *middle, end]))
        start = end
    curves = np.stack(controls)  # (strokes, 4, 2)
    time = np.linspace(0, 1, CURVE + 1)[:, None]
    bernstein = np.concatenate(
        [(1 - time) ** 3, 3 * time * (1 - time) ** 2, 3 * time**2 * (1 - time), time**3], axis=1
    )  # (CURVE + 1, 4)
    drawn = bernstein @ curves
    middle, half = (drawn.max((0, 1)) + drawn.min((0, 1))) / 2, np.ptp(drawn, axis=(0, 1)).max() / 2
    curves = (curves - middle) / half

    curves = curves + varied.normal(0, 0.1, (number, *curves.shape))
    turned = affine(varied, number, turn=0.2, zoom=1.3, shear=0.3).transpose(0, 2, 1)[:, None]
    points = 0.68 * bernstein @ curves @ turned + varied.uniform(-0.15, 0.15, (number, 1, 1, 2))
    starts, ends = (part.reshape(number, -1, 2).astype(np.float32) for part in (points[:, :, :-1], points[:, :, 1:]))
    width = varied.uniform(0.03, 0.13, (number, 1)).astype(np.float32)
    softness = varied.uniform(0.02, 0.07, (number, 1)).astype(np.float32)
    chunks = [slice(i, i + CHUNK) for i in range(0, number, CHUNK)]
    values = np.concatenate([to_lines(starts[chunk], ends[chunk]) for chunk in chunks])
    return (1 / (1 + np.exp(np.clip((values - width) / softness * 2, -30, 30)))).reshape(number, SIZE, SIZE)


def to_lines(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest of the lines from `starts` to `ends`: (images, SIZE * SIZE)."""
    along = ends - starts
    length = np.maximum((along**2).sum(-1), 1e-8)[:, :, None]  # squared
    beside = along @ PIXELS.T - (along * starts).sum(-1)[:, :, None]  # pixel minus start, times direction
    share = np.clip(beside / length, 0, 1)
    square = (starts**2).sum(-1)[:, :, None] + (PIXELS**2).sum(-1) - 2 * starts @ PIXELS.T
    square += share * (share * length - 2 * beside)
    return np.sqrt(np.maximum(square.min(1), 0))


def nearest_two(points: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest and the second nearest point: (2, images, SIZE * SIZE)."""
    square = (points**2).sum(-1)[:, :, None] + (PIXELS**2).sum(-1) - 2 * points @ PIXELS.T
    return np.sqrt(np.maximum(np.partition(square, 1, axis=1)[:, :2], 0)).transpose(1, 0, 2)


def fractals(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """The attractor of an iterated function system, drawn by the chaos game as the density of its points."""
    while True:
        system = similar_maps(fixed, int(fixed.integers(2, 6)))
        covered = np.count_nonzero(chaos_game(system[None], default_rng(0)))
        if 0.1 < covered / SIZE**2 < 0.7:
            break
    systems = system * (1 + varied.uniform(-0.1, 0.1, (number, *system.shape)))
    return stretch(np.log1p(chaos_game(systems, varied)))


def similar_maps(fixed: Generator, maps: int) -> np.ndarray:
    """(maps, 2, 3): contractions of the plane, each a rotation, two scalings, a rotation, and a shift."""
    first, second = (np.stack([np.cos(a), np.sin(a)]) for a in fixed.uniform(0, 2 * np.pi, (2, maps)))
    turns = [np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2) for c, s in (first, second)]
    scale = fixed.uniform(0.25, 0.85, (maps, 1, 2)) * fixed.choice([-1, 1], (maps, 1, 2))
    return np.concatenate([turns[0] * scale @ turns[1], fixed.uniform(-1, 1, (maps, 2, 1))], axis=2)


def chaos_game(systems: np.ndarray, varied: Generator, walkers: int = 256, steps: int = 28) -> np.ndarray:
    """Points per pixel, (number, SIZE, SIZE), of the attractors of `systems`: (number, maps, 2, 3)."""
    number, maps = systems.shape[:2]
    weight = np.abs(np.linalg.det(systems[..., :2])).mean(0) + 0.02
    choice = varied.choice(maps, (steps, number, walkers), p=weight / weight.sum())
    place, rows, visited = np.zeros((number, walkers, 2)), np.arange(number)[:, None], []
    for step in range(steps):
        chosen = systems[rows, choice[step]]  # (number, walkers, 2, 3)
        place = np.clip((chosen[..., :2] @ place[..., None])[..., 0] + chosen[..., 2], -1e3, 1e3)
        if step >= 8:  # by then a walker is on the attractor, as far as a pixel can tell
            visited.append(place)
    points = np.concatenate(visited, axis=1)  # (number, points, 2)
    low, high = np.quantile(points, [0.005, 0.995], axis=1)
    middle, half = (low + high)[:, None] / 2, np.maximum((high - low).max(-1) / 2, 1e-6)[:, None, None]
    cell = ((points - middle) / half * 0.92 + 1) / 2 * SIZE
    inside = ((cell >= 0) & (cell < SIZE)).all(-1)
    flat = (rows * SIZE + np.floor(cell[..., 1])) * SIZE + np.floor(cell[..., 0])
    return np.bincount(flat[inside].astype(int), minlength=number * SIZE**2).reshape(number, SIZE, SIZE)


def contours(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """A closed radial curve, filled, outlined or repeated in rings (after Kataoka et al. 2022, arXiv 2206.09132)."""
    corners, mode = int(fixed.integers(3, 9)), fixed.choice(["filled", "outline", "rings"])
    is_polygon, size = fixed.random() < 0.5, fixed.uniform(0.45, 0.75)
    waves = fixed.uniform(-0.3, 0.3, 3) / np.arange(1, 4) ** 0.5
    phases, twist = fixed.uniform(0, 2 * np.pi, 3), fixed.uniform(-2, 2) * (fixed.random() < 0.5)
    rings, aspect = fixed.uniform(2, 6), fixed.uniform(1, 1.9)

    x, y = plane(varied, number, turn=0.35, zoom=1.25, shift=0.25)
    radius, angle = np.hypot(x * aspect**0.5, y / aspect**0.5), np.arctan2(y, x)
    angle = angle + twist * radius
    if is_polygon:
        sector = 2 * np.pi / corners
        edge = np.cos(sector / 2) / np.cos(np.mod(angle, sector) - sector / 2)
    else:
        edge = np.ones_like(radius)
        for k, (wave, phase) in enumerate(zip(waves, phases, strict=True)):
            # The k-th wave is a multiple of the first, so the curve keeps its number of corners.
            jitter = varied.normal(1, 0.15, (number, 1, 1))
            edge += wave * jitter * np.cos((corners - 1 if k == 0 else k + 1) * angle + phase)
    inside = 1 - radius / (size * np.maximum(edge, 0.1))  # 0 on the curve, 1 in the middle
    if mode == "filled":
        return 1 / (1 + np.exp(np.clip(-inside * varied.uniform(12, 30, (number, 1, 1)), -30, 30)))
    if mode == "outline":
        return np.exp(-((inside / varied.uniform(0.06, 0.16, (number, 1, 1))) ** 2))
    return (0.5 - 0.5 * np.cos(2 * np.pi * rings * inside)) * (inside > 0)


def gratings(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """Up to three oriented waves, summed or multiplied, some under a Gaussian window (Gabor patches)."""
    waves, multiplied, sharp = int(fixed.integers(1, 4)), fixed.random() < 0.4, fixed.random() < 0.35
    direction, frequency = fixed.uniform(0, np.pi, waves), 1.5 * 6 ** fixed.uniform(0, 1, waves)  # cycles per image
    window = fixed.uniform(0.3, 0.6) if fixed.random() < 0.4 else None
    bend = fixed.uniform(0, 0.35) * (fixed.random() < 0.4)

    x, y = plane(varied, number, turn=0.2, zoom=1.15, shift=0.3)
    bent = y + bend * np.sin(np.pi * (x + varied.uniform(-1, 1, (number, 1, 1))))
    total = np.ones_like(x) if multiplied else np.zeros_like(x)
    for angle, cycles in zip(direction, frequency, strict=True):
        phase = varied.uniform(0, 2 * np.pi, (number, 1, 1))
        wave = np.cos(np.pi * cycles * (x * np.cos(angle) + bent * np.sin(angle)) + phase)
        total = total * wave if multiplied else total + wave
    if sharp:
        total = np.tanh(total * 4)
    if window is not None:
        total = total * np.exp(-(x**2 + y**2) / (2 * window**2))
    return stretch(total)


def noise(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """Gaussian noise with a random spectrum, plain or bent into blots, ridges or bands."""
    slope, centre = fixed.uniform(0.6, 2.2), 1.5 * 8 ** fixed.uniform(0, 1)  # cycles per image
    direction, aspect = fixed.uniform(0, np.pi), 4 ** (fixed.uniform(0, 1) * (fixed.random() < 0.6))
    mode, cut = fixed.choice(["plain", "blots", "ridges", "bands"]), fixed.uniform(-0.8, 0.8)
    bands = fixed.uniform(1.0, 2.5)

    lines = np.fft.fftfreq(SIZE, 1 / SIZE)
    u, v = np.meshgrid(lines, lines)
    angle = direction + varied.uniform(-0.2, 0.2, (number, 1, 1))
    along, across = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    pitch = centre * 1.15 ** varied.uniform(-1, 1, (number, 1, 1))
    distance = np.hypot(along * aspect**0.5, across / aspect**0.5) / pitch
    spectrum = distance**slope * np.exp(-slope * distance)
    field = np.fft.ifft2(spectrum * np.fft.fft2(varied.normal(size=(number, SIZE, SIZE)))).real
    field = field / field.std((1, 2), keepdims=True)
    if mode == "blots":
        return 1 / (1 + np.exp((cut - field) * 6))
    if mode == "ridges":
        return np.exp(-np.abs(field) * 2.5)
    return stretch(np.clip(field, -2.5, 2.5) if mode == "plain" else np.sin(np.pi * bands * field))


def cells(fixed: Generator, varied: Generator, number: int) -> np.ndarray:
    """Cells around the points of a distorted lattice: their depth, their walls, or dots in their centres."""
    rows, columns = fixed.integers(2, 7, 2)
    disorder, slant = fixed.choice([0.05, 0.25, 0.6]), fixed.choice([0.0, 0.5])
    mode, width = fixed.choice(["depth", "walls", "dots"]), fixed.uniform(0.15, 0.4)

    # Cells beyond the border, so that an image has none of its own.
    i, j = np.meshgrid(np.arange(-2, rows + 2), np.arange(-2, columns + 2), indexing="ij")
    lattice = np.stack([(j + slant * (i % 2) + 0.5) / columns, (i + 0.5) / rows], -1).reshape(-1, 2) * 2 - 1
    pitch = 2 / np.array([columns, rows])
    points = lattice + varied.uniform(-1, 1, (number, *lattice.shape)) * disorder * pitch
    points = points + varied.uniform(-0.5, 0.5, (number, 1, 2)) * pitch
    points = (points @ affine(varied, number, turn=0.25, zoom=1.15, shear=0.2).transpose(0, 2, 1)).astype(np.float32)
    near, second = np.concatenate([nearest_two(points[i : i + CHUNK]) for i in range(0, number, CHUNK)], axis=1)
    if mode == "depth":
        values = near
    elif mode == "walls":
        values = np.exp(-(((second - near) / (width * 0.3)) ** 2))
    else:
        values = 1 / (1 + np.exp(np.clip((near - width * pitch.min()) * 40, -30, 30)))
    return stretch(values.reshape(number, SIZE, SIZE))


# Strokes come up more often: they are what handwriting, signs and drawings are made of.
FORMULAS = (strokes, fractals, contours, strokes, gratings, noise, strokes, cells)


def colour(values: np.ndarray, fixed: Generator, varied: Generator, *, own_colours: bool) -> np.ndarray:
    """`values` between two colours: (number, SIZE, SIZE, 3) as uint8.

    Two classes in five of those with `own_colours` keep near a pair of colours of their own; the rest take any pair,
    and half of their images are grey.
    """
    number = len(values)
    pair, keeps_pair = fixed.uniform(0, 1, (2, 3)), own_colours and fixed.random() < 0.4
    if keeps_pair:
        colours = pair + varied.normal(0, 0.08, (number, 2, 3))
    else:
        colours = varied.uniform(0, 1, (number, 2, 3))
        grey = varied.random((number, 1, 1)) < 0.5
        colours = np.where(grey, colours.mean(-1, keepdims=True) * 1.6 - 0.3, colours)
    ground, figure = colours[:, 0], colours[:, 1]
    # A figure nobody can see teaches nothing: too small a difference is pushed apart along its own direction.
    gap = figure - ground
    gap = np.where(np.abs(gap).max(-1, keepdims=True) < 1e-3, 1e-3, gap)
    wanted = np.maximum(np.abs(gap).mean(-1, keepdims=True), 0.3)
    gap = gap / np.abs(gap).mean(-1, keepdims=True) * wanted
    middle = np.clip((ground + figure) / 2, wanted / 2, 1 - wanted / 2)
    ground, figure = (part[:, None, None] for part in (middle - gap / 2, middle + gap / 2))
    slope = varied.normal(0, 0.1, (number, 2, 1, 1, 1)) * (varied.random((number, 1, 1, 1, 1)) < 0.5)
    light = slope[:, 0] * AXIS[:, None, None] + slope[:, 1] * AXIS[None, :, None]
    picture = ground + (figure - ground) * values[..., None] + light
    picture = picture + varied.normal(0, 1, picture.shape) * varied.uniform(0, 0.05, (number, 1, 1, 1))
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def formula_images(label: int, number: int, *, seed: int, part: int = 0) -> np.ndarray:
    """`number` images of class `label`: (number, SIZE, SIZE, 3) as uint8, the same on every call.

    Another `part` draws other images of the same class, for example those that training never sees.
    """
    formula = FORMULAS[label % len(FORMULAS)]
    fixed, varied = default_rng([seed, label]), default_rng([seed, label, 1 + part])
    values = formula(fixed, varied, number)
    return colour(values, fixed, varied, own_colours=formula is not strokes)
